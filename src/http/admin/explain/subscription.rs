//! The subscriptions in an explanation, as billing sees them, and the events behind it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::billing::assessment::Verdict;
use crate::domain::customer::explain::SubscriptionCause;
use crate::domain::id::Provider;
use crate::http::api::time;
use crate::http::openapi::words;
use crate::store::EventRecord;

/// A subscription and how it counts.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionCause)]
pub(super) struct SubscriptionView {
    #[schema(schema_with = words::provider)]
    provider: Provider,
    id: String,
    livemode: bool,
    /// The billing account that pays.
    account: Option<String>,
    /// The provider's word for its status; null while none that Tollgate knows was seen.
    status: Option<String>,
    #[schema(schema_with = words::class)]
    class: &'static str,
    /// Its verdict under the policy, disputes and refunds included; null if it does not count.
    #[schema(schema_with = words::verdict)]
    verdict: Option<&'static str>,
    /// The instant of the events that decided its status.
    #[schema(format = DateTime)]
    decided_at: Option<String>,
    /// Its events allow another status too; the one with least access was taken.
    ambiguous: bool,
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    #[schema(format = DateTime)]
    paused_since: Option<String>,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// The time at which it is scheduled to end.
    #[schema(format = DateTime)]
    cancel_at: Option<String>,
    /// The time at which a timer changes this.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// The reason for this, in a sentence.
    because: String,
    /// Its newest events that changed something.
    events: Vec<DecidingEvent>,
}

/// An event that decided something.
#[derive(Serialize, ToSchema)]
pub(super) struct DecidingEvent {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
}

pub(super) fn subscription(
    it: SubscriptionCause,
    events: &BTreeMap<String, Vec<EventRecord>>,
) -> SubscriptionView {
    SubscriptionView {
        provider: it.provider,
        livemode: it.livemode,
        account: it.account,
        status: it.status,
        class: it.standing.as_str(),
        verdict: it.verdict.map(Verdict::as_str),
        decided_at: time(it.decided_at),
        ambiguous: it.ambiguous,
        failing_since: time(it.failing_since),
        paused_since: time(it.paused_since),
        ended_at: time(it.ended_at),
        cancel_at: time(it.cancel_at),
        due_at: time(it.due_at),
        because: it.because,
        events: events_of(events, &it.id),
        id: it.id,
    }
}

pub(super) fn events_of(
    events: &BTreeMap<String, Vec<EventRecord>>,
    subject: &str,
) -> Vec<DecidingEvent> {
    let found = events.get(subject).into_iter().flatten();
    let event = |event: &EventRecord| DecidingEvent {
        id: event.key.id.clone(),
        event_type: event.event_type.clone(),
        occurred_at: time(event.occurred_at),
    };
    found.map(event).collect()
}
