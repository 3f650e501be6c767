//! Paddle Billing's notifications.
//!
//! An archived customer keeps what was paid for, and customers cannot be deleted. Addresses
//! belong to payments, not to people, and are ignored. Payloads do not say whether they are live;
//! the mode of the secret does, except that what the simulator sends is never live. Only
//! `occurred_at` orders: an entity's `updated_at` runs backwards, and can be in the year 1.
//!
//! Fields and types: <https://developer.paddle.com/webhooks/overview>.

mod adjustment;
mod customer;
mod envelope;
mod line;
mod named;
mod security;
mod subscription;
mod transaction;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use self::envelope::Envelope;
use super::event::{Event, EventType, event_types};
use super::fields::Fields;
use super::head::{self, EventHead, PayloadError};
use super::reading::{IgnoreReason, Meaning, ReadError, Reading};
use super::signature::TimedHmac;
use super::spec::Spec;
use crate::domain::id::{Kind, ObjectKey, Scope};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// Paddle Billing (not Paddle Classic).
pub const PADDLE: &Spec = &Spec {
    name: envelope::NAME,
    header: "Paddle-Signature",
    header_form: "From Paddle: `ts=…;h1=…`.",
    event_id: Some("event_id"),
    account_prefixes: &["ctm_"],
    shared_prefixes: &[],
    // Each destination and each replay has a notification of its own:
    // <https://developer.paddle.com/api-reference/notifications/replay-notification>
    per_delivery: &["notification_id"],
    version: None,
    says_mode: false,
    // `ts=<unix seconds>;h1=<64 hex>[;h1=…]`:
    // <https://developer.paddle.com/webhooks/signature-verification>
    signature: &TimedHmac {
        separator: ';',
        time: "ts",
        digest: "h1",
        joint: ":",
    },
    types: TYPES,
    head: head_of,
    read,
    named: named::named,
    test,
};

/// The types that are read, the most telling first.
const TYPES: &[EventType] = event_types! {
    "paddle", ".json";
    "customer.created" "new" => customer::contact, "a billing account and its contact";
    "customer.imported" "moved" => customer::contact, "a billing account and its contact";
    "customer.updated" "email" => customer::contact, "a changed contact";
    "business.created" "company" => customer::business, "a company's name, while nothing better is known";
    "business.imported" "moved" => customer::business, "a company's name, while nothing better is known";
    "business.updated" "renamed" => customer::business, "a company's name, while nothing better is known";
    "subscription.created" "active" => subscription::changed, "a subscription begins";
    "subscription.imported" "moved" => subscription::changed, "a subscription begins";
    "subscription.activated" "new" => subscription::changed, "a subscription is active";
    "subscription.trialing" "new" => subscription::changed, "a trial begins";
    "subscription.updated" "plan-change" => subscription::changed, "status, items, period or a scheduled end change";
    "subscription.past_due" "renewal" => subscription::changed, "a renewal failed";
    "subscription.paused" "at-period-end" => subscription::changed, "a subscription pauses";
    "subscription.resumed" "by-customer" => subscription::changed, "a paused subscription goes on";
    "subscription.canceled" "at-period-end" => subscription::changed, "a subscription has ended";
    "transaction.completed" "renewal" => transaction::paid, "a transaction was paid, and what for";
    "transaction.paid" "first-checkout" => transaction::paid, "a transaction was paid, and what for";
    "transaction.payment_failed" "renewal" => transaction::failed, "a try to collect a transaction failed";
    "transaction.past_due" "renewal" => transaction::failed, "a try to collect a transaction failed";
    "transaction.canceled" "by-seller" => transaction::canceled, "a transaction will not be collected";
    "transaction.billed" "renewal" => transaction::known, "a transaction exists, and what for";
    "transaction.updated" "first-checkout" => transaction::known, "whose a transaction is, and what for";
    "transaction.revised" "tax-number" => transaction::known, "whose a transaction is, and what for";
    "transaction.created" "renewal" => transaction::named, "which ids belong together";
    "transaction.ready" "first-checkout" => transaction::named, "which ids belong together";
    "adjustment.created" "chargeback" => adjustment::changed, "a refund or a dispute";
    "adjustment.updated" "refund-approved" => adjustment::changed, "a refund or a dispute";
    "api_key_exposure.created" "found" => security::exposed, "one of the seller's API keys is public";
};

fn head_of(text: &str) -> Result<EventHead, PayloadError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        event_id: Option<&'a RawValue>,
        #[serde(borrow)]
        event_type: Option<&'a RawValue>,
    }
    let head: Head<'_> = head::parse(text)?;
    head::event_head(head.event_id, head.event_type)
}

/// A notification of our own in the form of their simulator's
/// (<https://developer.paddle.com/webhooks/test-webhooks>), which counts for nothing at a live endpoint.
fn test(id: &str, event_type: &str, at: Timestamp, _mode: Mode) -> Value {
    json!({
        "event_id": id, "event_type": event_type, "occurred_at": at, "notification_id": "ntfsimntf_tollgate",
        "data": {},
    })
}

/// Says what a notification means. `text` is a JSON object.
fn read(text: &str, event_type: &str, mode: Mode) -> Result<Reading, ReadError> {
    let envelope: Envelope<'_> = head::parse(text)?;
    let simulated = envelope.is_simulated();
    let livemode = if simulated {
        Some(false)
    } else {
        mode.livemode()
    };
    let mut reading = Reading {
        occurred_at: envelope.occurred_at(),
        livemode,
        connected: None,
        simulated,
        meaning: Meaning::Ignored(IgnoreReason::Type),
    };
    if simulated && mode == Mode::Live {
        reading.meaning = Meaning::Ignored(IgnoreReason::Simulated);
        return Ok(reading);
    }
    let Some(reader) = PADDLE.reader(event_type) else {
        return Ok(reading);
    };

    let at = envelope.need_time()?;
    let data = envelope.data()?;
    let scope = Scope {
        provider: PADDLE.name,
        livemode: livemode.unwrap_or(true),
        connected: None,
    };
    let facts = reader(&Event {
        type_name: event_type,
        at,
        scope,
        object: Fields::new(&data, "data"),
        previous: None,
        request: None,
    })?;
    reading.meaning = Meaning::of(at, facts);
    Ok(reading)
}

impl Event<'_> {
    /// The key of the entity of a kind that a field names.
    fn key(&self, kind: Kind, place: &str) -> Result<Option<ObjectKey>, ReadError> {
        let id = self.object.id(&[place])?;
        Ok(id.map(|id| self.scope.key(kind, id)))
    }

    /// Like [`key`](Self::key), of a field that has to be there.
    fn need_key(&self, kind: Kind, place: &str) -> Result<ObjectKey, ReadError> {
        Ok(self.scope.key(kind, self.object.need_id(&[place])?))
    }
}
