//! The audit: who changed what, from what to what.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::event_row::path_of;
use super::page::{Frame, render};
use super::query::{Asked, Pager};
use super::refusal::Refusal;
use super::visitor::Visitor;
use super::when::When;
use super::{timeline, words};
use crate::domain::shown_times::shown;
use crate::http::{ApiError, AppState};
use crate::pipeline::audit;
use crate::store::{ActorFilter, AuditFilter, AuditRecord};

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/audit", get(list))
}

struct Row {
    at: When,
    operation: String,
    word: String,
    author: String,
    event: Option<String>,
    customer: Option<String>,
    change: String,
    details: String,
}

impl From<AuditRecord> for Row {
    fn from(record: AuditRecord) -> Self {
        let details = shown(record.details);
        Self {
            at: When(record.at),
            operation: timeline::operation(&record.operation).to_owned(),
            word: record.operation,
            author: words::author(&record.actor),
            event: record.event.map(|id| path_of(&id)),
            customer: record.customer.map(Into::into),
            change: timeline::change(&details),
            details: serde_json::to_string_pretty(&details).unwrap_or_default(),
        }
    }
}

#[derive(Template)]
#[template(path = "audit.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    operation: String,
    actor: String,
    customer: String,
    rows: Vec<Row>,
    pager: Pager,
}

async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    asked: Asked,
) -> Result<Response, Refusal> {
    let customer = asked.customer()?;
    let actor = asked
        .get("actor")
        .map(str::parse::<ActorFilter>)
        .transpose();
    let actor = actor.map_err(|error| ApiError::invalid_field("actor", error.to_string()))?;
    let filter = AuditFilter {
        customer,
        actor,
        operation: asked.own("operation"),
        ..AuditFilter::default()
    };
    let found = audit::list(&state.store, &visitor.app, &filter, &asked.window()).await?;
    let page = Page {
        frame: Frame::new(&visitor, "audit", "Audit"),
        operation: asked.own("operation").unwrap_or_default(),
        actor: asked.own("actor").unwrap_or_default(),
        customer: asked.own("customer").unwrap_or_default(),
        rows: found.rows.into_iter().map(Row::from).collect(),
        pager: asked.pager(found.total.unwrap_or_default())?,
    };
    Ok(render(&page)?)
}
