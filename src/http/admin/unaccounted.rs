//! Webhooks that were acknowledged and have no outcome.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::id::Provider;
use crate::domain::time::Timestamp;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::openapi::words;
use crate::http::{Admin, ApiError, AppState};
use crate::pipeline::acknowledged::{self, Unaccounted};

/// A webhook that was acknowledged and is not in the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnaccountedEvent)]
pub(super) struct UnaccountedView {
    #[schema(examples("evt_1Q2w3e4R5t6Y7u8I"))]
    id: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    #[schema(examples("invoice.paid"))]
    #[serde(rename = "type")]
    event_type: String,
    #[schema(format = DateTime)]
    received_at: String,
    age_seconds: i64,
    /// True if it is in no queue either, or is older than any retry: it was lost, and the provider
    /// has to send it again. False if it may still be on its way.
    overdue: bool,
}

impl UnaccountedView {
    pub(super) fn of(found: Unaccounted, now: Timestamp) -> Self {
        let event = found.event;
        Self {
            id: event.id,
            provider: event.provider,
            event_type: event.event_type,
            received_at: event.received_at.to_string(),
            age_seconds: (now.seconds() - event.received_at.seconds()).max(0),
            overdue: found.overdue,
        }
    }
}

/// Lists webhooks that were acknowledged and have no outcome.
///
/// They wait to be processed, or they were lost, for example with a deleted queue: then have the
/// provider send them again, and they go from the list. The oldest come first; of a very long
/// backlog the oldest hundred thousand at most. A webhook gets into the list about a second after it
/// was acknowledged.
#[utoipa::path(
    get,
    path = "/events/unaccounted",
    params(PagingQuery),
    responses((status = 200, description = "The webhooks, the oldest first.", body = List<UnaccountedView>))
)]
pub(super) async fn list_unaccounted(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<UnaccountedView>>, ApiError> {
    let found = acknowledged::unaccounted(&state.store, &admin.app_or_default()).await?;
    let now = state.clock.now();
    paging.cut(found, Unaccounted::position, |it| {
        UnaccountedView::of(it, now)
    })
}
