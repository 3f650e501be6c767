//! Health checks, for orchestrators, load balancers and monitoring.
//!
//! `/healthz` tells that the process answers at all: if it does not, it may be restarted. `/readyz`
//! tells whether each of its roles could do its work now:
//!
//! | role | could do its work if |
//! | --- | --- |
//! | receiver | it could acknowledge a webhook: all endpoints are known, and the queue takes messages or the spool does |
//! | worker | messages reach it, nothing stands still, it can publish retries, and the store takes writes |
//! | api | the store takes writes |
//!
//! A process that receives and spools is ready and says so as `degraded`: taken out of rotation it
//! would only refuse what it could keep. If it is a worker too, its worker waits for the same broker,
//! and nobody else could do that work for it, so this alone does not make it unready.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{ApiError, AppState, openapi, request_id};
use crate::pipeline::health::{Fault, Health};
use crate::store::Trouble;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(healthz))
        .routes(routes!(readyz));
    openapi::resource("health", "For whoever watches this process.", routes)
}

/// Returns the routes of a process that waits for its database: it is alive, and can do nothing yet.
pub(super) fn waiting_router(trouble: watch::Receiver<Trouble>) -> Router {
    Router::new().fallback(waiting).with_state(trouble)
}

async fn waiting(State(trouble): State<watch::Receiver<Trouble>>, path: Uri) -> Response {
    match path.path() {
        "/healthz" => healthz().await.into_response(),
        "/readyz" => not_ready_yet(*trouble.borrow()),
        _ => ApiError::Unavailable { cause: None }.into_response(),
    }
}

fn not_ready_yet(trouble: Trouble) -> Response {
    let part = Part {
        name: "store",
        ready: false,
        code: Some(trouble.code()),
        reason: Some(trouble.sentence().to_owned()),
        last_success_seconds: None,
    };
    answer(&Report {
        ready: false,
        degraded: None,
        parts: vec![part],
        oldest: None,
        paused: None,
    })
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
    /// `endpoints`, `queue`, `store` or `worker`.
    #[schema(examples("store"))]
    name: &'static str,
    ready: bool,
    /// A stable code that says why it is not ready.
    #[schema(nullable = false, examples("store_full"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// A sentence that says why it is not ready.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Seconds since this process last did it with success: a message confirmed (`queue`), a
    /// transaction written (`store`), a batch settled (`worker`). Left out before the first time.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success_seconds: Option<u64>,
}

impl Part {
    fn new(
        health: &Health,
        name: &'static str,
        checked: Result<(), Fault>,
        last: Option<Duration>,
    ) -> Self {
        let fault = checked.err();
        health.note(name, fault.as_ref());
        Self {
            name,
            ready: fault.is_none(),
            code: fault.as_ref().map(|it| it.code),
            reason: fault.map(|it| it.reason.into_owned()),
            last_success_seconds: last.map(|it| it.as_secs()),
        }
    }
}

/// Each role could do its work.
#[derive(Serialize, ToSchema)]
struct Ready<'a> {
    #[schema(examples("ready"))]
    status: &'static str,
    /// `spooling` while the broker is away and webhooks are kept in the store.
    #[schema(nullable = false, examples("spooling"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<&'static str>,
    /// How many apps are paused, whose events wait because an admin said so; left out if none is. That
    /// makes nothing unready.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_apps: Option<u64>,
    parts: &'a [Part],
    /// The age of the oldest message that waits in the store (in the spool, or due in the built-in
    /// queue) or is in this worker's hands; left out if there is none. What lies in a broker's queue is
    /// not seen from here.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_message_seconds: Option<u64>,
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
    /// As in the answer of a process that is ready.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_message_seconds: Option<u64>,
    request_id: Option<String>,
}

/// What `/readyz` found.
struct Report {
    ready: bool,
    degraded: Option<&'static str>,
    parts: Vec<Part>,
    oldest: Option<Duration>,
    /// `None` if none is.
    paused: Option<u64>,
}

/// Tells whether each role of this process could do its work now. Answers within a second.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "It could. A receiver that spools says `degraded`.", body = Ready<'_>),
        (status = 503, description = "`not_ready`.", body = NotReady<'_>, content_type = "application/problem+json"),
    )
)]
async fn readyz(State(state): State<AppState>) -> Response {
    let report = examine(&state).await;
    answer(&report)
}

/// Checks what the roles of this process use.
async fn examine(state: &AppState) -> Report {
    let (roles, health) = (state.settings.roles, &state.health);
    let published = health.check_publisher().await;
    let away = published.is_err();
    let spools = roles.receiver && health.spools();
    // A receiver needs the store only to spool.
    let needs_store = roles.worker || roles.api || health.queues_in_store() || (spools && away);
    let (store, worker, oldest, paused) = tokio::join!(
        async {
            if needs_store {
                health.check_store().await
            } else {
                Ok(())
            }
        },
        async {
            if roles.worker {
                health.check_worker().await
            } else {
                Ok(())
            }
        },
        health.oldest_message(),
        async {
            // Those of a receiver go on as ever.
            if roles.worker {
                health.paused_apps().await
            } else {
                None
            }
        },
    );
    let takes = if health.queues_in_store() || (away && spools) {
        store.clone()
    } else {
        published
    };
    let degraded = (away && spools && store.is_ok()).then_some("spooling");
    let covered = degraded.is_some() && worker.as_ref().is_err_and(Fault::is_of_broker);

    let mut parts = Vec::new();
    if roles.receiver {
        parts.push(Part::new(
            health,
            "endpoints",
            state.endpoints.check(),
            None,
        ));
    }
    if roles.receiver || roles.worker {
        parts.push(Part::new(health, "queue", takes, health.since_confirm()));
    }
    if roles.worker {
        parts.push(Part::new(health, "worker", worker, health.since_settle()));
    }
    if roles.worker || roles.api {
        parts.push(Part::new(health, "store", store, health.since_write()));
    }
    let counts = |part: &&Part| !(covered && part.name == "worker");
    Report {
        ready: parts.iter().filter(counts).all(|part| part.ready),
        degraded,
        parts,
        oldest,
        paused: paused.filter(|count| *count > 0),
    }
}

/// Answers 200, or 503 as a problem document; both list the components.
fn answer(report: &Report) -> Response {
    let oldest_message_seconds = report.oldest.map(|it| it.as_secs());
    if report.ready {
        let ready = Ready {
            status: "ready",
            degraded: report.degraded,
            paused_apps: report.paused,
            parts: &report.parts,
            oldest_message_seconds,
        };
        return Json(ready).into_response();
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let problem = NotReady {
        title: status.canonical_reason(),
        status: status.as_u16(),
        code: "not_ready",
        detail: "a role of this process cannot do its work now; see `parts`",
        parts: &report.parts,
        oldest_message_seconds,
        request_id: request_id::request_id(),
    };
    let headers = [(CONTENT_TYPE, "application/problem+json")];
    (status, headers, Json(problem)).into_response()
}
