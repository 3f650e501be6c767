//! Dismissing events that failed or were lost.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::event_filter::FilterBody;
use super::events::EventQuery;
use crate::http::api::list::Filters;
use crate::http::api::order_of;
use crate::http::field_errors::FieldErrors;
use crate::http::openapi;
use crate::http::reason::{ReasonBody, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::dismissal;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(dismiss_many))
        .routes(routes!(dismiss));
    openapi::resource("dismissals", "Events that will never be processed.", routes)
}

/// An event that was dismissed.
#[derive(Serialize, ToSchema)]
#[schema(as = DismissedEvent)]
struct DismissedView {
    id: String,
    dismissed: bool,
    /// False if it was dismissed before.
    changed: bool,
}

/// Dismisses an event that failed, or that was lost after it had been acknowledged.
///
/// One that failed is `ignored` from then on, with the error code `dismissed`: its payload goes after
/// the retention, and until then it can still be replayed. A lost one goes from
/// `/events/unaccounted`.
#[utoipa::path(
    post,
    path = "/events/{id}/dismiss",
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "It is dismissed.", body = DismissedView),
        (status = 409, description = "`not_failed`: it was processed. `still_waiting`: it may still be."),
    )
)]
async fn dismiss(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<DismissedView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    let changed = dismissal::one(&state.store, &order, &id).await?;
    Ok(Json(DismissedView {
        id,
        dismissed: true,
        changed,
    }))
}

/// The events to dismiss.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkDismissal)]
struct DismissBody {
    filter: FilterBody,
}

/// The same, and why.
type DismissWithReason = Reasoned<DismissBody>;

/// Events that were dismissed.
#[derive(Serialize, ToSchema)]
#[schema(as = DismissedEvents)]
struct ManyView {
    /// Their number: at most 1,000 a call.
    dismissed: u64,
    /// How many failed events match the filter still. Until it is 0, the same call goes on; an
    /// `Idempotency-Key` has to be another for each.
    remaining: u64,
}

/// Dismisses failed events that match a filter, at most 1,000 a call. Events of other outcomes are left
/// alone. `remaining` says how many are left: call again until it is 0.
#[utoipa::path(
    post,
    path = "/events/dismiss",
    request_body = DismissWithReason,
    responses(
        (status = 200, description = "They are dismissed.", body = ManyView),
        (status = 409, description = "`not_failed`: the filter asks for another outcome."),
    )
)]
async fn dismiss_many(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(Reasoned { body, reason }): ValidJson<DismissWithReason>,
) -> Result<Json<ManyView>, ApiError> {
    let order = order_of(&admin, &state).because(reason);
    let mut field_errors = FieldErrors::default();
    let filter = EventQuery::from(body.filter).filter(order.now, &mut field_errors);
    let filter = field_errors.within("filter").finish(Some(filter))?;
    let done = dismissal::many(&state.store, &order, &filter).await?;
    Ok(Json(ManyView {
        dismissed: done.dismissed,
        remaining: done.remaining,
    }))
}
