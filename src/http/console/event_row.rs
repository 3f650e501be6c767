//! An event in a list.

use super::when::When;
use super::words::Badge;
use crate::store::EventRecord;

/// An event in a list.
pub(super) struct EventRow {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) event_type: String,
    pub(super) outcome: Badge,
    pub(super) received_at: When,
    pub(super) customer: Option<String>,
    pub(super) provider: String,
    pub(super) error: String,
}

impl From<EventRecord> for EventRow {
    fn from(event: EventRecord) -> Self {
        Self {
            path: path_of(&event.key.id),
            id: event.key.id,
            event_type: event.event_type,
            outcome: Badge::outcome(event.outcome),
            received_at: When(event.received_at),
            customer: event.customer.map(Into::into),
            provider: event.key.provider.to_string(),
            error: event.error.map(|error| error.code).unwrap_or_default(),
        }
    }
}

/// The path of an event's page. Ids are the provider's, and may hold what an address may not.
pub(super) fn path_of(id: &str) -> String {
    let id = percent_encoding::utf8_percent_encode(id, PLAIN);
    format!("/console/events/{id}")
}

const PLAIN: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'_').remove(b'-');
