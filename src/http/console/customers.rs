//! Finding customers.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::event_row::EventRow;
use super::page::{Frame, render};
use super::query::{Asked, Pager};
use super::refusal::Refusal;
use super::search::path_to;
use super::visitor::Visitor;
use super::when::When;
use super::words::{self, Badge};
use crate::domain::customer::row::Customer;
use crate::http::AppState;
use crate::pipeline::customers::list_alone;
use crate::pipeline::search::anything;
use crate::store::CustomerFilter;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/customers", get(list))
}

#[derive(Template)]
#[template(path = "customers.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    statuses: Vec<(String, &'static str, bool)>,
    /// The status that the list is narrowed to, if it is.
    status: String,
    rows: Vec<Row>,
    events: Vec<EventRow>,
    /// Payloads were looked through too.
    in_payloads: bool,
    pager: Pager,
}

struct Row {
    id: String,
    name: String,
    email: String,
    external_id: String,
    status: Badge,
    reason: String,
    flags: usize,
    since: When,
}

/// A name for a customer: what people know it by.
pub(super) fn name_of(customer: &Customer) -> String {
    let contact = &customer.derived.contact;
    let name = contact.name.as_ref().or(contact.email.as_ref());
    let name = name.or(customer.derived.external_id.as_ref());
    name.map_or_else(|| customer.id.to_string(), |name| words::label(name))
}

impl From<Customer> for Row {
    fn from(customer: Customer) -> Self {
        let flags = customer.flags().len();
        let name = name_of(&customer);
        let derived = customer.derived;
        Self {
            id: customer.id.into(),
            name,
            email: derived
                .contact
                .email
                .map(|it| words::label(&it))
                .unwrap_or_default(),
            external_id: derived.external_id.unwrap_or_default(),
            status: Badge::status(derived.status.as_str()),
            reason: derived.reason.unwrap_or_default(),
            flags,
            since: When(customer.status_since),
        }
    }
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app) = (&state.store, &visitor.app);
    let window = asked.window();
    let in_payloads = visitor.admin.role.allows(state.settings.payloads_for);
    let (found, events) = if let Some(text) = asked.get("q") {
        let now = state.clock.now();
        let found = anything(store, app, text, in_payloads, &window, now).await?;
        if let Some(one) = found.exactly {
            return Ok(Redirect::to(&path_to(&one)).into_response());
        }
        (found.customers, found.events)
    } else {
        let filter = CustomerFilter {
            status: asked.own("status"),
            ..CustomerFilter::default()
        };
        let found = list_alone(store, app, &filter, &window).await?;
        (Some(found), Vec::new())
    };
    let (rows, total) = found.map_or((Vec::new(), 0), |found| {
        let total = found.total.unwrap_or_default();
        (found.rows, total)
    });
    let mut frame = Frame::new(&visitor, "customers", "Customers");
    frame.query = asked.own("q").unwrap_or_default();
    let status = asked.get("status");
    let words = [
        None,
        Some("active"),
        Some("suspended"),
        Some("frozen"),
        Some("expired"),
    ];
    let statuses = words.map(|word| {
        (
            asked.with("status", word),
            word.unwrap_or("all"),
            status == word,
        )
    });
    let page = Page {
        frame,
        statuses: statuses.into(),
        status: asked.own("status").unwrap_or_default(),
        rows: rows.into_iter().map(Row::from).collect(),
        events: events.into_iter().map(EventRow::from).collect(),
        in_payloads,
        pager: asked.pager(total)?,
    };
    Ok(render(&page)?)
}
