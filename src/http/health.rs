//! Health checks, for orchestrators, load balancers and monitoring.
//!
//! `/healthz` tells that the process answers at all: if it does not, it may be restarted. `/readyz`
//! tells whether it can do its work, and checks only what its roles use, so that a receiver stays
//! in rotation while the store is away and its queue works.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Cause;
use super::{AppState, openapi, request_id};
use crate::causes::chain;
use crate::pipeline::admin_tokens;

/// The time after which a component that does not answer counts as away. Shorter than the usual
/// timeouts of probes, a second or more.
const ANSWER_TIME: Duration = Duration::from_millis(800);

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(healthz))
        .routes(routes!(readyz));
    openapi::resource("health", "For whoever watches this process.", routes)
}

/// The process answers.
#[derive(Serialize, ToSchema)]
struct Alive {
    #[schema(examples("alive"))]
    status: &'static str,
}

/// Tells that this process answers at all.
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, description = "It does.", body = Alive))
)]
async fn healthz() -> Json<Alive> {
    Json(Alive { status: "alive" })
}

/// A component that a role requires.
#[derive(Serialize, ToSchema)]
struct Part {
    #[schema(examples("store"))]
    name: &'static str,
    ready: bool,
}

/// All components answer.
#[derive(Serialize, ToSchema)]
struct Ready<'a> {
    #[schema(examples("ready"))]
    status: &'static str,
    parts: &'a [Part],
}

/// The problem document of a process that is not ready.
#[derive(Serialize, ToSchema)]
struct NotReady<'a> {
    title: Option<&'static str>,
    status: u16,
    #[schema(examples("not_ready"))]
    code: &'static str,
    detail: &'static str,
    parts: &'a [Part],
    request_id: Option<String>,
}

/// Tells whether this process can do its work.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "It can.", body = Ready<'_>),
        (status = 503, description = "`not_ready`.", body = NotReady<'_>, content_type = "application/problem+json"),
    )
)]
async fn readyz(State(state): State<AppState>) -> Response {
    let roles = state.settings.roles;
    let mut parts = Vec::new();
    if roles.receiver {
        // Before the first read of the store a receiver can only answer 503.
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

/// Checks that the store answers. Any statement would do; this one reads at most one row.
async fn store_answers(state: &AppState) -> Result<(), Cause> {
    admin_tokens::any(&state.store, state.clock.now()).await?;
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

/// Answers 200, or 503 as a problem document; both list the components.
fn answer(parts: &[Part]) -> Response {
    if parts.iter().all(|part| part.ready) {
        let ready = Ready {
            status: "ready",
            parts,
        };
        return Json(ready).into_response();
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let problem = NotReady {
        title: status.canonical_reason(),
        status: status.as_u16(),
        code: "not_ready",
        detail: "a part that is needed does not answer",
        parts,
        request_id: request_id::request_id(),
    };
    let headers = [(CONTENT_TYPE, "application/problem+json")];
    (status, headers, Json(problem)).into_response()
}
