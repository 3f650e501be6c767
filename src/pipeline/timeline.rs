//! A customer's timeline: webhooks, what they changed, what admins did, timers, payments and refunds,
//! in one list.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::customers::{FindError, shown};
use super::payments::{self, ListedPayment};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::domain::words::words;
use crate::store::{
    AuditFilter, AuditRecord, EventFilter, EventRecord, Store, StoreError, Tx, Window,
};

/// Most webhooks, and most changes, that are looked at: the newest within the wanted time.
pub const MOST: u32 = 1_000;

/// The kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimelineKind {
    /// A webhook came.
    Webhook,
    /// A webhook changed the customer.
    Change,
    /// An admin, or somebody at the server, did something.
    Act,
    /// A due time came, or the policy or a plan changed.
    Timer,
    /// A flag was raised or closed.
    Flag,
    /// A payment was made or failed.
    Payment,
    /// Money was given back.
    Refund,
}

words!(TimelineKind, or UnknownKind {
    Webhook = "webhook",
    Change = "change",
    Act = "act",
    Timer = "timer",
    Flag = "flag",
    Payment = "payment",
    Refund = "refund",
});

/// A word that names no [`TimelineKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", TimelineKind::WORDS.join(", "))]
pub struct UnknownKind;

/// One entry.
#[derive(Clone, Debug)]
pub struct TimelineEntry {
    /// Names it within the timeline.
    pub id: String,
    /// Of webhooks and changes the local clock; of payments and refunds the provider's.
    pub at: Timestamp,
    /// The kind.
    pub kind: TimelineKind,
    /// The event's type, the operation, or what happened to a payment.
    pub title: String,
    /// The provider's id of the event, the payment or the refund.
    pub subject: Option<String>,
    /// The author of a change, as the audit writes it.
    pub actor: Option<String>,
    /// Of a webhook its outcome, of a change the state before and after; never a secret.
    pub details: Value,
}

impl TimelineEntry {
    /// Returns its place in the list: the newest first.
    pub fn position(&self) -> Reverse<(Timestamp, String)> {
        Reverse((self.at, self.id.clone()))
    }
}

/// The entries that are wanted.
#[derive(Clone, Debug, Default)]
pub struct TimelineFilter {
    /// The kind.
    pub kind: Option<TimelineKind>,
    /// At this instant or later.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

/// Lists what happened to a customer, the newest first.
///
/// # Errors
/// When there is no such customer.
pub async fn list_of(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
    filter: &TimelineFilter,
) -> Result<Vec<TimelineEntry>, FindError> {
    let mut tx = store.read().await?;
    let id = shown(&mut tx, app, customer).await?.id;
    let mut entries = recorded(&mut tx, app, &id, filter).await?;
    drop(tx);
    for payment in payments::list_of(store, app, &id).await? {
        entries.extend(of_payment(&payment));
    }
    entries.retain(|entry| {
        filter.kind.is_none_or(|kind| kind == entry.kind)
            && filter.since.is_none_or(|since| since <= entry.at)
            && filter.until.is_none_or(|until| entry.at < until)
    });
    entries.sort_by_cached_key(TimelineEntry::position);
    Ok(entries)
}

async fn recorded(
    tx: &mut Tx,
    app: &AppSlug,
    id: &CustomerId,
    filter: &TimelineFilter,
) -> Result<Vec<TimelineEntry>, StoreError> {
    let window = Window::Walk {
        after: None,
        size: MOST,
    };
    let events = EventFilter {
        customer: Some(id.clone()),
        since: filter.since,
        until: filter.until,
        ..EventFilter::default()
    };
    let events = tx.event_list(app, &events, &window).await?;
    let changes = AuditFilter {
        customer: Some(id.clone()),
        since: filter.since,
        until: filter.until,
        ..AuditFilter::default()
    };
    let changes = tx.audit_list(app, &changes, &window).await?;
    let events = events.rows.into_iter().map(TimelineEntry::from);
    Ok(events
        .chain(changes.rows.into_iter().map(TimelineEntry::from))
        .collect())
}

impl From<EventRecord> for TimelineEntry {
    fn from(event: EventRecord) -> Self {
        let error = event.error.map(|error| error.code);
        Self {
            id: format!("event:{}:{}", event.key.provider, event.key.id),
            at: event.received_at,
            kind: TimelineKind::Webhook,
            title: event.event_type,
            subject: Some(event.key.id),
            actor: None,
            details: json!({
                "outcome": event.outcome.as_str(),
                "occurred_at": event.occurred_at.map(Timestamp::exact),
                "error_code": error,
            }),
        }
    }
}

impl From<AuditRecord> for TimelineEntry {
    fn from(change: AuditRecord) -> Self {
        let by = change.actor.split(':').next().unwrap_or_default();
        let kind = match (change.operation.as_str(), by) {
            ("flag" | "unflag", _) => TimelineKind::Flag,
            (_, "event") => TimelineKind::Change,
            (_, "timer" | "policy") => TimelineKind::Timer,
            _ => TimelineKind::Act,
        };
        Self {
            id: format!("audit:{}", change.seq),
            at: change.at,
            kind,
            title: change.operation,
            subject: change.event,
            actor: Some(change.actor),
            details: change.details,
        }
    }
}

pub(super) fn of_payment(payment: &ListedPayment) -> Vec<TimelineEntry> {
    let id = &payment.key.id;
    let entry = |kind: TimelineKind, at, title: &str, details| TimelineEntry {
        id: format!("{kind}:{title}:{id}"),
        at,
        kind,
        title: title.to_owned(),
        subject: Some(id.clone()),
        actor: None,
        details,
    };
    let history = &payment.history;
    let paid = history.paid.map(|paid| {
        let details = json!({"amount_paid": paid.money, "cost": paid.cost});
        entry(TimelineKind::Payment, paid.at, "paid", details)
    });
    let failed = history.failed.map(|failed| {
        let next = failed.next_attempt.map(Timestamp::exact);
        let details = json!({"next_attempt": next});
        entry(TimelineKind::Payment, failed.last, "failed", details)
    });
    let refunded = payment.given_back_at.map(|at| {
        let details = json!({"amount_refunded": payment.given_back, "refunds": payment.refunds});
        entry(TimelineKind::Refund, at, "refunded", details)
    });
    let void = history
        .void_at
        .map(|at| entry(TimelineKind::Payment, at, "void", json!({})));
    let all = paid.into_iter().chain(failed).chain(void);
    all.chain(refunded).collect()
}
