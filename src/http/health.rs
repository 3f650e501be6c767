//! Health, for whoever starts, routes to and watches this process.
//!
//! `/healthz` says that the process answers at all: who gets no answer may restart it. `/readyz`
//! says whether it can do its work, asking only what its roles use, so that a receiver stays in
//! rotation while the store is away and its queue works.

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
use super::{AppState, frame, openapi};
use crate::causes::chain;
use crate::pipeline::admin_tokens;

/// How long a part may take to answer before it counts as away. Shorter than the second or more
/// after which probes themselves give up.
const ANSWER_TIME: Duration = Duration::from_millis(800);

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(healthz))
        .routes(routes!(readyz));
    openapi::resource("health", "For whoever watches this process.", routes)
}

/// That it answers at all.
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

/// Something that a role cannot do without.
#[derive(Serialize, ToSchema)]
struct Part {
    #[schema(examples("store"))]
    name: &'static str,
    ready: bool,
}

/// That every part answers.
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

/// 200, or 503 as a problem document; both list the parts.
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
        request_id: frame::request_id(),
    };
    let headers = [(CONTENT_TYPE, "application/problem+json")];
    (status, headers, Json(problem)).into_response()
}
