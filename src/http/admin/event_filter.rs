//! The filters of the list of events, in the bodies of orders about many events.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::events::EventQuery;
use crate::http::api::time;
use crate::http::openapi::words;
use crate::store::EventFilter;

/// The filters of the list of events; `{}` for all events.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object of filters, `{}` for all events"
)]
#[schema(as = EventFilter)]
pub(super) struct FilterBody {
    #[schema(schema_with = words::outcome)]
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// The same as `outcome`.
    #[schema(schema_with = words::outcome)]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[schema(schema_with = words::provider)]
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// The whole type, in the provider's spelling.
    #[serde(rename = "type")]
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    /// Only events that concerned this customer, and those of its billing accounts that were not
    /// processed.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    /// Only events of the customer that has this external id or billing account.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// The same as `external_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// Only events whose payload names this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// Only events that failed, or were ignored, for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    /// Received at this time or later.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Received before this time.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl From<FilterBody> for EventQuery {
    fn from(body: FilterBody) -> Self {
        Self {
            outcome: body.outcome,
            status: body.status,
            provider: body.provider,
            event_type: body.event_type,
            customer_id: body.customer_id,
            external_id: body.external_id,
            account: body.account,
            object: body.object,
            error_code: body.error_code,
            since: body.since,
            until: body.until,
        }
    }
}

impl From<EventFilter> for FilterBody {
    fn from(filter: EventFilter) -> Self {
        Self {
            outcome: filter.outcome.map(|it| it.to_string()),
            status: None,
            provider: filter.provider.map(|it| it.to_string()),
            event_type: filter.event_type,
            customer_id: filter.customer.map(Into::into),
            external_id: filter.external.map(|it| it.id),
            account: None,
            object: filter.object,
            error_code: filter.error_code,
            since: time(filter.since),
            until: time(filter.until),
        }
    }
}
