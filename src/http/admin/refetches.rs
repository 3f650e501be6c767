//! Questions to providers about what events leave open.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::id::Provider;
use crate::http::api::list::{self, List, Paging, PagingQuery};
use crate::http::api::time;
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState};
use crate::pipeline::refetch;
use crate::store::WaitingRefetch;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(list));
    let about = "Questions to providers about what events leave open.";
    openapi::resource("refetches", about, routes)
}

/// A question to a provider about an object.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refetch)]
struct RefetchView {
    #[schema(examples("rft_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    /// The kind of the object.
    #[schema(examples("subscription"))]
    kind: &'static str,
    /// The provider's id of the object.
    #[schema(examples("sub_1Q2w3e4R5t6Y7u8I"))]
    object: String,
    /// The connected account that the object is of, if it is of one.
    account: Option<String>,
    livemode: bool,
    #[schema(schema_with = words::refetch_reason)]
    reason: &'static str,
    /// `waiting`, or `given_up`, for the reason that `error` names.
    #[schema(schema_with = words::refetch_status)]
    status: &'static str,
    /// The time of the need.
    #[schema(format = DateTime)]
    since: String,
    /// The number of times that the provider was asked in vain.
    attempts: i64,
    /// The time of the next try; null when it was given up.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// The reason why the last try led to nothing.
    #[schema(examples("provider_away"))]
    error: Option<String>,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

impl From<WaitingRefetch> for RefetchView {
    fn from(refetch: WaitingRefetch) -> Self {
        let waits = refetch.ended_at.is_none();
        let scope = refetch.key.scope;
        Self {
            id: refetch.id.into(),
            provider: scope.provider,
            kind: refetch.key.kind.as_str(),
            object: refetch.key.id,
            account: scope.connected,
            livemode: scope.livemode,
            reason: refetch.reason.as_str(),
            status: if waits { "waiting" } else { "given_up" },
            since: refetch.since.to_string(),
            attempts: refetch.attempts,
            next_at: time(waits.then_some(refetch.next_at)),
            error: refetch.error,
            ended_at: time(refetch.ended_at),
        }
    }
}

/// Lists what a provider is to be asked about, and what was given up.
///
/// What was answered is not in it any more: the answer is an event.
#[utoipa::path(
    get,
    path = "/refetches",
    params(PagingQuery),
    responses((status = 200, description = "Questions.", body = List<RefetchView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<RefetchView>>, ApiError> {
    let part = refetch::list(&state.store, &admin.app_or_default(), &paging.window).await?;
    paging.answer(list::map(part, RefetchView::from))
}
