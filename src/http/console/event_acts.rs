//! Acts on an event: replaying and dismissing it, after a question.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::confirm::{self, Confirm};
use super::event_row::path_of;
use super::form::Form;
use super::refusal::Refusal;
use super::undo::done_at;
use super::visitor::Visitor;
use crate::domain::role::Role;
use crate::http::api::problem::event_not_found;
use crate::http::{AppState, request_id};
use crate::pipeline::replay::replay_one;
use crate::pipeline::{dismissal, events};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/events/{id}/replay", get(ask_replay).post(replay))
        .route("/events/{id}/dismiss", get(ask_dismiss).post(dismiss))
}

/// What there is to know of an event before something is done with it, and whether it had its outcome.
async fn about(
    state: &AppState,
    visitor: &Visitor,
    id: &str,
) -> Result<(Vec<(&'static str, String)>, bool), Refusal> {
    visitor.admin.require(Role::Admin)?;
    let found = events::find(&state.store, &visitor.app, id).await?;
    let event = found.ok_or_else(event_not_found)?;
    let mut facts = vec![
        ("Type", event.event_type),
        ("Outcome", event.outcome.to_string()),
    ];
    if let Some(error) = event.error {
        facts.push(("Because", error.detail));
    }
    Ok((facts, event.outcome.is_settled()))
}

async fn ask_replay(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let (facts, is_settled) = about(&state, &visitor, &id).await?;
    let path = path_of(&id);
    let force = ("force", "1".to_owned());
    let act = Confirm {
        title: format!("Replay the event {id}?"),
        meaning: "It goes through the queue again, as it came. What had its effect already has none again.",
        facts,
        path: format!("{path}/replay"),
        hidden: Vec::from_iter(is_settled.then_some(force)),
        button: if is_settled {
            "Replay it all the same"
        } else {
            "Replay it"
        },
        back: path,
        ..Confirm::default()
    };
    confirm::ask(&visitor, "events", act)
}

async fn replay(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    let force = form.fields.get("force").is_some();
    let (store, publisher, order) = (&state.store, &*state.publisher, form.order(&state)?);
    replay_one(store, publisher, &order, &id, force, request_id::origin()).await?;
    Ok(done_at(&path_of(&id), "replay", None))
}

async fn ask_dismiss(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let (facts, _) = about(&state, &visitor, &id).await?;
    let path = path_of(&id);
    let act = Confirm {
        title: format!("Dismiss the event {id}?"),
        meaning: "It counts as seen to, and is not tried again. Its payload goes with the retention; until then \
                  it can be replayed.",
        facts,
        path: format!("{path}/dismiss"),
        button: "Dismiss it",
        back: path,
        ..Confirm::default()
    };
    confirm::ask(&visitor, "events", act)
}

async fn dismiss(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Refusal> {
    dismissal::one(&state.store, &form.order(&state)?, &id).await?;
    Ok(done_at(&path_of(&id), "dismiss", None))
}
