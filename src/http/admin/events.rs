//! The event ledger.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{self, Filters, List, Listing, PagingQuery};
use super::view::EventView;
use super::{FieldErrors, instant, problem, word_of};
use crate::domain::time::Timestamp;
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::provider::Spec;
use crate::store::EventFilter;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(show));
    openapi::resource("events", "Webhooks, from receipt to outcome.", routes)
}

/// The filters of the list. Texts throughout, so that each has its own message.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    #[param(schema_with = words::outcome)]
    pub(super) outcome: Option<String>,
    /// The same as `outcome`.
    #[param(schema_with = words::outcome)]
    pub(super) status: Option<String>,
    #[param(schema_with = words::provider)]
    pub(super) provider: Option<String>,
    /// The whole type, as the provider has it.
    #[serde(rename = "type")]
    #[param(example = "invoice.paid")]
    pub(super) event_type: Option<String>,
    /// Only events that concerned this customer.
    pub(super) customer_id: Option<String>,
    /// Received then or later.
    #[param(format = DateTime)]
    pub(super) since: Option<String>,
    /// Received before.
    #[param(format = DateTime)]
    pub(super) until: Option<String>,
}

impl Filters for EventQuery {
    type Filter = EventFilter;

    fn filter(self, _: Timestamp, field_errors: &mut FieldErrors) -> EventFilter {
        let since = self.since.map(|text| instant("since", &text));
        let until = self.until.map(|text| instant("until", &text));
        let outcome = field_errors
            .note(word_of("outcome", self.outcome))
            .flatten();
        let status = field_errors.note(word_of("status", self.status)).flatten();
        EventFilter {
            outcome: outcome.or(status),
            provider: field_errors
                .note(word_of::<&Spec>("provider", self.provider))
                .flatten()
                .map(|spec| spec.name),
            event_type: self.event_type,
            customer: field_errors
                .note(word_of("customer_id", self.customer_id))
                .flatten(),
            since: since.and_then(|it| field_errors.note(it)),
            until: until.and_then(|it| field_errors.note(it)),
        }
    }
}

/// Lists events.
#[utoipa::path(
    get,
    path = "/events",
    params(PagingQuery, EventQuery),
    responses((status = 200, description = "Events without their payloads, the newest first.", body = List<EventView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    Listing { paging, filter }: Listing<EventQuery>,
) -> Result<Json<List<EventView>>, ApiError> {
    let mut tx = state.store.read().await?;
    let part = tx
        .event_list(&admin.app_or_default(), &filter, &paging.0)
        .await?;
    Ok(paging.answer(list::map(part, EventView::from)))
}

/// Shows an event with its payload.
#[utoipa::path(
    get,
    path = "/events/{id}",
    responses((status = 200, description = "The event.", body = EventView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<EventView>, ApiError> {
    let found = state
        .store
        .read()
        .await?
        .event_find(&admin.app_or_default(), &id)
        .await?;
    Ok(Json(found.ok_or_else(problem::event_not_found)?.into()))
}
