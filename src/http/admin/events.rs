//! The event ledger.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::unaccounted;
use crate::domain::apply::lookup_keys::external_ids;
use crate::domain::event::EventError;
use crate::domain::id::Provider;
use crate::domain::shown_times::shown;
use crate::domain::time::Timestamp;
use crate::http::api::list::{self, Filters, List, Listing, PagingQuery};
use crate::http::api::{problem, time};
use crate::http::field_errors::{FieldErrors, instant, word_of};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidPath};
use crate::pipeline::events;
use crate::provider::Spec;
use crate::store::{EventFilter, EventRecord, ExternalFilter, FailureGroup};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(failures))
        .routes(routes!(unaccounted::list_unaccounted))
        .routes(routes!(show));
    openapi::resource("events", "Webhooks, from receipt to outcome.", routes)
}

/// An event of the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventView {
    #[schema(examples("evt_1Q2w3e4R5t6Y7u8I"))]
    id: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    #[schema(examples("default"))]
    app: String,
    account: Option<String>,
    livemode: Option<bool>,
    #[schema(examples("invoice.paid"))]
    #[serde(rename = "type")]
    event_type: String,
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    #[schema(format = DateTime)]
    received_at: String,
    #[schema(format = DateTime)]
    processed_at: Option<String>,
    #[schema(schema_with = words::outcome)]
    outcome: &'static str,
    duplicates: i64,
    attempts: i64,
    error: Option<EventErrorView>,
    #[schema(examples("cust_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    customer_id: Option<String>,
    /// Of an event that was not processed, the billing account that its payload names, as
    /// `/customers/by-external` takes it. It belongs to whoever this account is linked to.
    #[schema(examples("stripe_cus_9s6XKzkNRiz8i3"))]
    billing_account: Option<String>,
    /// The state before and after.
    changes: Value,
    /// The body as it was received. Only shown for a single event and in exports; null once it was
    /// removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
    /// Why the payload is null although it is kept: `role_insufficient`, where the settings show payloads
    /// to higher roles alone (`TOLLGATE_PAYLOADS_FOR`). Left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("role_insufficient"))]
    payload_hidden: Option<&'static str>,
    /// The time at which the payload was removed, which is some time after the event was settled.
    /// Without a payload an event cannot be replayed.
    #[schema(format = DateTime)]
    payload_removed_at: Option<String>,
}

/// The reason why an event was not applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventError)]
pub(super) struct EventErrorView {
    code: String,
    detail: String,
}

impl From<EventError> for EventErrorView {
    fn from(error: EventError) -> Self {
        Self {
            code: error.code,
            detail: error.detail,
        }
    }
}

impl EventView {
    /// An event with its payload. One that was removed is said to be missing rather than left out.
    pub(super) fn whole(record: EventRecord) -> Self {
        let mut view = Self::from(record);
        view.payload.get_or_insert(Value::Null);
        view
    }

    /// An event for somebody who may not see its payload.
    fn without_payload(mut record: EventRecord) -> Self {
        let hidden = record.payload.take().map(|_| "role_insufficient");
        Self {
            payload_hidden: hidden,
            ..Self::whole(record)
        }
    }
}

/// A payload as JSON. Nothing else is accepted; what cannot be read all the same is shown as it is.
pub(super) fn json_of(payload: String) -> Value {
    serde_json::from_str(&payload).unwrap_or(Value::String(payload))
}

impl From<EventRecord> for EventView {
    fn from(record: EventRecord) -> Self {
        let payload = record.payload.map(json_of);
        Self {
            id: record.key.id,
            provider: record.key.provider,
            app: record.key.app.into(),
            account: record.account,
            livemode: record.livemode,
            event_type: record.event_type,
            occurred_at: time(record.occurred_at),
            received_at: record.received_at.to_string(),
            processed_at: time(record.processed_at),
            outcome: record.outcome.as_str(),
            duplicates: record.duplicates,
            attempts: record.attempts,
            error: record.error.map(EventErrorView::from),
            customer_id: record.customer.map(Into::into),
            billing_account: record.billing_account.map(|key| {
                let [external_id, _] = external_ids(&key);
                external_id
            }),
            changes: shown(record.changes),
            payload,
            payload_hidden: None,
            payload_removed_at: time(record.payload_removed_at),
        }
    }
}

/// The filters of the list. All are texts, so that each fault gets its own message.
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
    /// The whole type, in the provider's spelling.
    #[serde(rename = "type")]
    #[param(example = "invoice.paid")]
    pub(super) event_type: Option<String>,
    /// Only events that concerned this customer, and those of its billing accounts that were not
    /// processed.
    pub(super) customer_id: Option<String>,
    /// Only events of the customer that has this external id or billing account, in any spelling that
    /// `/customers/by-external` takes. Of an account without a customer, those that were not
    /// processed.
    #[param(example = "cus_9s6XKzkNRiz8i3")]
    pub(super) external_id: Option<String>,
    /// The same as `external_id`.
    pub(super) account: Option<String>,
    /// Only events whose payload names this object, by its id: an invoice, a charge, a payment
    /// intent, a Checkout session, a subscription, a transaction, a customer of the provider.
    #[param(example = "in_1MtHbELkdIwHu7ixl4OzzPMv")]
    pub(super) object: Option<String>,
    /// Only events that failed, or were ignored, for this reason.
    #[param(example = "payload_field_missing")]
    pub(super) error_code: Option<String>,
    /// Received at this time or later.
    #[param(format = DateTime)]
    pub(super) since: Option<String>,
    /// Received before this time.
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
            outcome: field_errors.one_of(("outcome", outcome), ("status", status)),
            provider: field_errors
                .note(word_of::<&Spec>("provider", self.provider))
                .flatten()
                .map(|spec| spec.name),
            event_type: self.event_type,
            customer: field_errors
                .note(word_of("customer_id", self.customer_id))
                .flatten(),
            external: field_errors
                .one_of(("external_id", self.external_id), ("account", self.account))
                .map(|id| ExternalFilter { id, customer: None }),
            object: self.object,
            error_code: self.error_code,
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
    let part = events::list(
        &state.store,
        &admin.app_or_default(),
        &filter,
        &paging.window,
    )
    .await?;
    paging.answer(list::map(part, EventView::from))
}

/// Failed events of one type that failed for one reason.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailureGroup)]
pub(super) struct FailureView {
    #[schema(examples("payload_field_missing"))]
    error_code: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    #[schema(examples("invoice.paid"))]
    #[serde(rename = "type")]
    event_type: String,
    count: u64,
    /// When the first of them was received.
    #[schema(format = DateTime)]
    oldest: String,
    /// When the last of them was received.
    #[schema(format = DateTime)]
    newest: String,
    /// The last one's id.
    #[schema(examples("evt_1Q2w3e4R5t6Y7u8I"))]
    sample_event_id: String,
    /// What is wrong with that one.
    sample_detail: Option<String>,
}

impl From<FailureGroup> for FailureView {
    fn from(group: FailureGroup) -> Self {
        Self {
            error_code: group.error_code,
            provider: group.provider,
            event_type: group.event_type,
            count: group.count,
            oldest: group.oldest.to_string(),
            newest: group.newest.to_string(),
            sample_event_id: group.sample,
            sample_detail: group.sample_detail,
        }
    }
}

/// Groups failed events by reason and type, the largest group first.
///
/// Takes the filters of the list. With `outcome`, events of another outcome are grouped.
#[utoipa::path(
    get,
    path = "/events/failures",
    params(PagingQuery, EventQuery),
    responses((status = 200, description = "The groups.", body = List<FailureView>))
)]
async fn failures(
    State(state): State<AppState>,
    admin: Admin,
    Listing { paging, filter }: Listing<EventQuery>,
) -> Result<Json<List<FailureView>>, ApiError> {
    let groups = events::failures(&state.store, &admin.app_or_default(), &filter).await?;
    let position = |it: &FailureGroup| {
        let names = (it.provider, it.event_type.clone(), it.error_code.clone());
        (Reverse(it.count), Reverse(it.newest), names)
    };
    paging.cut(groups, position, FailureView::from)
}

/// Shows an event with its payload.
///
/// A viewer's token gets no payload, unless the server's settings say so (`TOLLGATE_PAYLOADS_FOR`).
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
    let found = events::find(&state.store, &admin.app_or_default(), &id).await?;
    let found = found.ok_or_else(problem::event_not_found)?;
    let sees_payload = admin.role.allows(state.settings.payloads_for);
    Ok(Json(if sees_payload {
        EventView::whole(found)
    } else {
        EventView::without_payload(found)
    }))
}
