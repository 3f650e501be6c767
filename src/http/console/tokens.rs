//! Access tokens of a customer: making, rotating and revoking them.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};

use super::confirm::{self, Choice, Confirm};
use super::customer_view::TokenRow;
use super::form::Form;
use super::issued::issued;
use super::refusal::Refusal;
use super::undo::done_to;
use super::visitor::Visitor;
use super::when;
use crate::domain::id::CustomerId;
use crate::domain::role::Role;
use crate::http::AppState;
use crate::http::api::customer_id;
use crate::pipeline::tokens::{self, TokenError, TokenOrder};

/// How long the text before a rotation still works, in hours; time to put the new one in place first.
const OVERLAPS: &[(&str, &str)] = &[
    ("24", "for 24 hours"),
    ("168", "for 7 days"),
    ("0", "not any more: it leaked"),
];

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/customers/{id}/tokens", post(issue))
        .route(
            "/customers/{id}/tokens/{token}/rotate",
            get(ask_rotate).post(rotate),
        )
        .route(
            "/customers/{id}/tokens/{token}/revoke",
            get(ask_revoke).post(revoke),
        )
}

fn page_of(id: &CustomerId) -> String {
    format!("/console/customers/{id}")
}

const NEW: &str = "The new access token";

async fn issue(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let order = form.order(&state)?;
    let Form { visitor, fields } = form;
    let wanted = TokenOrder {
        name: fields.need_line("name")?,
        scope: None,
        packages: Vec::new(),
        expires_at: fields.expires_at(order.now)?,
        text: None,
    };
    let made = tokens::issue(&state.store, &order, &id, wanted).await?;
    let text = made.text.expose().to_owned();
    let note = "It opens everything that the customer may have.";
    issued(&visitor, page_of(&id), NEW, text, note)
}

/// What there is to know of a token before something is done with it.
async fn told(
    state: &AppState,
    visitor: &Visitor,
    id: &CustomerId,
    token: &str,
) -> Result<(String, Vec<(&'static str, String)>), Refusal> {
    visitor.admin.require(Role::Admin)?;
    let now = state.clock.now();
    let all = tokens::list(&state.store, &visitor.app, id).await?;
    let found = all.into_iter().find(|it| it.id.as_str() == token);
    let found = found.ok_or(TokenError::NotFound)?;
    let used = found.last_used_at.map_or_else(
        || "never".to_owned(),
        |at| format!("{at}, {}", when::from_now(at, now)),
    );
    let row = TokenRow::of(found, now);
    let facts = vec![
        ("Begins with", format!("{}…", row.prefix)),
        ("Last used", used),
    ];
    Ok((row.name, facts))
}

async fn ask_rotate(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((id, token)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let (name, mut facts) = told(&state, &visitor, &id, &token).await?;
    facts.push((
        "Then",
        "a new text opens the same; it is shown once".to_owned(),
    ));
    let act = Confirm {
        title: format!("Rotate the token {name}?"),
        meaning: "It gets a new text. Whoever uses it has to be given that.",
        facts,
        choice: Some(Choice {
            name: "overlap",
            label: "The text that it has now still works",
            values: OVERLAPS,
        }),
        path: format!("/console/customers/{id}/tokens/{token}/rotate"),
        button: "Rotate it",
        back: page_of(&id),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "customers", act)
}

async fn rotate(
    State(state): State<AppState>,
    Path((id, token)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let token = token.parse().map_err(|_| TokenError::NotFound)?;
    let order = form.order(&state)?;
    let (hours, note) = match form.fields.get("overlap") {
        Some("0") => (0, "The text before does not work any more."),
        Some("168") => (168, "The text before still works for 7 days."),
        _ => (24, "The text before still works for 24 hours."),
    };
    let overlap = Duration::from_hours(hours);
    let made = tokens::rotate(&state.store, &order, &id, &token, overlap).await?;
    let text = made.text.expose().to_owned();
    issued(&form.visitor, page_of(&id), NEW, text, note)
}

async fn ask_revoke(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((id, token)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let (name, mut facts) = told(&state, &visitor, &id, &token).await?;
    facts.push(("Then", "whoever uses it is refused at once".to_owned()));
    let act = Confirm {
        title: format!("Revoke the token {name}?"),
        meaning: "It opens nothing any more. It cannot be given back; another one can be made.",
        facts,
        path: format!("/console/customers/{id}/tokens/{token}/revoke"),
        button: "Revoke it",
        is_final: true,
        back: page_of(&id),
        ..Confirm::default()
    };
    confirm::ask(&visitor, "customers", act)
}

async fn revoke(
    State(state): State<AppState>,
    Path((id, token)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    let id = customer_id(&id)?;
    let token = token.parse().map_err(|_| TokenError::NotFound)?;
    tokens::revoke(&state.store, &form.order(&state)?, &id, &token).await?;
    Ok(done_to(&id, "token", None))
}
