//! Health, for whoever starts, routes to and watches this process.
//!
//! `/healthz` says that the process answers at all: who gets no answer may restart it. `/readyz`
//! says whether it can do its work, asking only what its roles use, so that a receiver stays in
//! rotation while the store is away and its queue works.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;

use super::AppState;
use super::error::Cause;
use super::frame;
use crate::causes::chain;

/// How long a part may take to answer before it counts as away. Shorter than the second or more
/// after which probes themselves give up.
const ANSWER_TIME: Duration = Duration::from_millis(800);

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}

async fn healthz() -> Json<serde_json::Value> {
    Json(json!({"status": "alive"}))
}

/// Something that a role cannot do without.
#[derive(Serialize)]
struct Part {
    name: &'static str,
    ready: bool,
}

async fn readyz(State(state): State<AppState>) -> Response {
    let roles = state.settings.roles;
    let mut parts = Vec::new();
    if roles.receiver {
        // Before the first reading a receiver can only say 503.
        parts.push(Part {
            name: "endpoints",
            ready: state.endpoints.is_loaded(),
        });
    }
    if roles.receiver || roles.worker {
        let ready = async { Ok(state.publisher.ready().await?) };
        parts.push(ask("queue", ready).await);
    }
    if roles.worker || roles.api {
        parts.push(ask("store", store_answers(&state)).await);
    }
    answer(&parts)
}

/// Any statement would do; this one reads at most one row.
async fn store_answers(state: &AppState) -> Result<(), Cause> {
    let mut tx = state.store.read().await?;
    tx.admin_token_any(state.clock.now()).await?;
    Ok(())
}

async fn ask(name: &'static str, part: impl Future<Output = Result<(), Cause>>) -> Part {
    let ready = match tokio::time::timeout(ANSWER_TIME, part).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(part = name, error = chain(error.as_ref()), "not ready");
            false
        }
        Err(_) => {
            tracing::warn!(part = name, "not ready: no answer in time");
            false
        }
    };
    Part { name, ready }
}

/// 200, or 503 as a problem document; both list the parts.
fn answer(parts: &[Part]) -> Response {
    if parts.iter().all(|part| part.ready) {
        return Json(json!({"status": "ready", "parts": parts})).into_response();
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let problem = json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "code": "not_ready",
        "detail": "a part that is needed does not answer",
        "parts": parts,
        "request_id": frame::request_id(),
    });
    let headers = [(CONTENT_TYPE, "application/problem+json")];
    (status, headers, problem.to_string()).into_response()
}
