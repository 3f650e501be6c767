//! Pausing what workers do for the app, and letting it go on.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;

use super::form::Form;
use super::refusal::Refusal;
use super::when::When;
use crate::http::{ApiError, AppState};
use crate::pipeline::pauses;
use crate::store::PausedApp;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/pause", post(pause))
        .route("/resume", post(resume))
}

/// A pause as pages show it.
pub(super) struct PauseLine {
    pub(super) since: When,
    pub(super) reason: String,
    pub(super) waiting: u64,
}

impl From<PausedApp> for PauseLine {
    fn from(pause: PausedApp) -> Self {
        Self {
            since: When(pause.since),
            reason: pause.reason.unwrap_or_default(),
            waiting: pause.waiting,
        }
    }
}

/// What the overview says after an act of this page.
pub(super) fn notice(done: Option<&str>) -> Option<&'static str> {
    match done {
        Some("pause") => Some("Paused. Webhooks are received and wait."),
        Some("resume") => Some("Going on. What has waited is processed now."),
        _ => None,
    }
}

async fn pause(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let paused = pauses::pause(&state.store, &form.order(&state)?).await;
    paused.map_err(ApiError::from)?;
    Ok(Redirect::to("/console/overview?done=pause").into_response())
}

async fn resume(State(state): State<AppState>, form: Form) -> Result<Response, Refusal> {
    let resumed = pauses::resume(&state.store, &form.order(&state)?).await;
    resumed.map_err(ApiError::from)?;
    Ok(Redirect::to("/console/overview?done=resume").into_response())
}
