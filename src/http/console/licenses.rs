//! A licence, and what is done with it: issuing, revoking, renewing, another key, freeing places.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::activation_act;
use super::customers::name_of;
use super::form::Form;
use super::license_act::{is_act, license_id, limit_of};
use super::page::{Frame, render};
use super::query::{Asked, Pager};
use super::refusal::Refusal;
use super::undo::queried_with;
use super::visitor::Visitor;
use super::when::When;
use super::words::Badge;
use crate::domain::access::activation::Activation;
use crate::http::AppState;
use crate::http::api::customer_id;
use crate::pipeline::licenses::issue::{LicenseOrder, issue as issue_license};
use crate::pipeline::licenses::{self, activations, key_of};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/customers/{id}/licenses", post(issue))
        .route("/licenses/{id}", get(show))
}

/// A place where a licence is in use.
struct PlaceRow {
    name: String,
    fingerprint: String,
    since: When,
    /// The page that asks about freeing it.
    free: String,
}

impl From<Activation> for PlaceRow {
    fn from(activation: Activation) -> Self {
        Self {
            free: activation_act::page_of(&activation),
            name: activation.name.unwrap_or_default(),
            fingerprint: activation.fingerprint,
            since: When(activation.created_at),
        }
    }
}

#[derive(Template)]
#[template(path = "license.html", config = "src/http/console/askama.toml")]
struct Page {
    frame: Frame,
    id: String,
    customer: String,
    name: String,
    product: String,
    state: Badge,
    key: Option<String>,
    expires_at: Option<When>,
    revoked_at: Option<When>,
    revoked_reason: String,
    source: Option<String>,
    limit: Option<u32>,
    taken: u64,
    places: Vec<PlaceRow>,
    pager: Pager,
    undo: Option<String>,
}

fn notice(done: &str) -> Option<&'static str> {
    Some(match done {
        "issue" => "Issued.",
        "revoke" => "Revoked. It is valid nowhere.",
        "reinstate" => "Reinstated.",
        "renew" => "Renewed.",
        "limit" => "Its limit is another one now.",
        "free" => "Freed. A machine that uses it has to activate it again.",
        "unchanged" => "That was so already; nothing changed.",
        _ => return None,
    })
}

async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (store, app, now) = (&state.store, &visitor.app, state.clock.now());
    let id = license_id(&id)?;
    let found = licenses::find(store, app, &id).await?;
    let places = activations::list(store, app, &id, &asked.window()).await?;
    let license = &found.license;
    let code = license.judge(&found.customer, &found.plans, now);
    let mut frame = Frame::new(
        &visitor,
        "customers",
        format!("Licence {}", license.product),
    );
    frame.notice = asked.get("done").and_then(notice);
    let undo = asked.get("undo").filter(|_| frame.may_act);
    let undo = undo.filter(|word| is_act(word));
    // The key opens what it was sold for, so it is for those who may issue another one.
    let key = frame
        .may_act
        .then(|| key_of(&state.vault, app, &id, &found.sealed));
    let page = Page {
        undo: undo.map(|word| {
            let query = queried_with(&asked);
            format!("/console/licenses/{id}/act/{word}{query}")
        }),
        id: id.to_string(),
        customer: found.customer.id.to_string(),
        name: name_of(&found.customer),
        product: license.product.clone(),
        state: Badge::validity(code),
        key: key.flatten(),
        expires_at: license.expires_at.map(When),
        revoked_at: license.revoked.as_ref().map(|it| When(it.at)),
        revoked_reason: license
            .revoked
            .as_ref()
            .and_then(|it| it.reason.clone())
            .unwrap_or_default(),
        source: license.source.as_ref().map(|it| it.object.id.clone()),
        limit: found.activations_allowed(),
        taken: found.activations,
        pager: asked.pager(places.total.unwrap_or_default())?,
        places: places.rows.into_iter().map(PlaceRow::from).collect(),
        frame,
    };
    Ok(render(&page)?)
}

async fn issue(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let customer = customer_id(&id)?;
    let order = form.order(&state)?;
    let fields = &form.fields;
    let wanted = LicenseOrder {
        customer,
        product: fields.need_line("product")?,
        key: None,
        expires_at: fields.expires_at(order.now)?,
        activations_limit: fields.get("limit").map(limit_of).transpose()?,
        metadata: serde_json::Map::new(),
    };
    let made = issue_license(&state.store, &state.vault, &order, wanted).await?;
    let target = format!("/console/licenses/{}?done=issue", made.license.id);
    Ok(Redirect::to(&target).into_response())
}
