//! Paddle Billing's notifications.
//!
//! Which types are read, and what they say:
//!
//! | types | facts |
//! | --- | --- |
//! | `customer.created`, `.imported`, `.updated` | contact |
//! | `business.created`, `.imported`, `.updated` | a company's name, of the second rank |
//! | `subscription.*` | a subscription's state |
//! | `transaction.completed`, `.payment_failed`, `.past_due` | a payment, if of a subscription |
//! | `transaction.*` | which ids belong together, and how much was paid |
//! | `adjustment.*` | a refund, of all or of a part; how a dispute stands |
//!
//! An archived customer keeps what was paid for, and customers cannot be deleted. Addresses
//! belong to payments, not to people, and are ignored. Payloads do not say whether they are live;
//! the mode of the secret does. Only `occurred_at` orders: an entity's `updated_at` runs
//! backwards, and can be in the year 1.
//!
//! Fields: <https://developer.paddle.com/webhooks/overview>.

mod adjustment;
mod customer;
mod subscription;
mod transaction;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::{self, Fields};
use super::signature::TimedHmac;
use super::{EventHead, IgnoreReason, Meaning, Mode, PayloadError, ReadError, Reading, Spec};
use crate::domain::billing::fact::Fact;
use crate::domain::id::{Kind, ObjectKey, Provider, Scope};
use crate::domain::time::Timestamp;

/// Paddle Billing (not Paddle Classic).
pub const PADDLE: &Spec = &Spec {
    name: Provider::named("paddle"),
    header: "Paddle-Signature",
    event_id: "event_id",
    // `ts=<unix seconds>;h1=<64 hex>[;h1=…]`
    signature: &TimedHmac {
        separator: ';',
        time: "ts",
        digest: "h1",
        joint: ":",
    },
    head,
    read,
};

fn head(text: &str) -> Result<EventHead, PayloadError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        event_id: Option<&'a RawValue>,
        #[serde(borrow)]
        event_type: Option<&'a RawValue>,
    }
    let head: Head<'_> = super::parse(text)?;
    super::event_head(head.event_id, head.event_type)
}

/// What a reader of some event types makes of an event: nothing, if it says nothing.
type Reader = fn(&Event<'_>) -> Result<Vec<Fact>, ReadError>;

/// The one table of what is read.
fn reader(event_type: &str) -> Option<Reader> {
    Some(match event_type {
        "customer.created" | "customer.imported" | "customer.updated" => customer::contact,
        "business.created" | "business.imported" | "business.updated" => customer::business,
        "subscription.created"
        | "subscription.activated"
        | "subscription.trialing"
        | "subscription.updated"
        | "subscription.past_due"
        | "subscription.paused"
        | "subscription.resumed"
        | "subscription.canceled"
        | "subscription.imported" => subscription::changed,
        "transaction.completed" => transaction::completed,
        "transaction.payment_failed" | "transaction.past_due" => transaction::failed,
        "transaction.created"
        | "transaction.ready"
        | "transaction.billed"
        | "transaction.paid"
        | "transaction.canceled"
        | "transaction.updated"
        | "transaction.revised" => transaction::named,
        "adjustment.created" | "adjustment.updated" => adjustment::changed,
        _ => return None,
    })
}

/// Says what a notification means. `text` is a JSON object.
fn read(text: &str, event_type: &str, mode: Mode) -> Result<Reading, ReadError> {
    let envelope: Envelope<'_> = super::parse(text)?;
    let livemode = mode.livemode();
    let mut reading = Reading {
        occurred_at: envelope.occurred_at(),
        livemode,
        connected: None,
        meaning: Meaning::Ignored(IgnoreReason::Type),
    };
    let Some(reader) = reader(event_type) else {
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
        kind: event_type,
        scope,
        data: Fields::new(&data, "data"),
    })?;
    reading.meaning = Meaning::of(at, facts);
    Ok(reading)
}

/// A notification whose entity is about to be read.
struct Event<'a> {
    kind: &'a str,
    scope: Scope,
    data: Fields<'a>,
}

impl Event<'_> {
    /// The key of the entity of a kind that a field names.
    fn key(&self, kind: Kind, place: &str) -> Result<Option<ObjectKey>, ReadError> {
        let id = self.data.id(&[place])?;
        Ok(id.map(|id| self.scope.key(kind, id)))
    }

    /// Like [`key`](Self::key), of a field that has to be there.
    fn need_key(&self, kind: Kind, place: &str) -> Result<ObjectKey, ReadError> {
        Ok(self.scope.key(kind, self.data.need_id(&[place])?))
    }
}

/// What stands around the entity: <https://developer.paddle.com/webhooks/how-webhooks-work>.
#[derive(Deserialize)]
struct Envelope<'a> {
    occurred_at: Option<Value>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Envelope<'_> {
    fn occurred_at(&self) -> Option<Timestamp> {
        Timestamp::parse(self.occurred_at.as_ref()?.as_str()?)
    }

    fn need_time(&self) -> Result<Timestamp, ReadError> {
        let path = || "occurred_at".to_owned();
        match &self.occurred_at {
            None => Err(ReadError::FieldMissing { path: path() }),
            Some(_) => self.occurred_at().ok_or_else(|| ReadError::FieldMalformed {
                path: path(),
                wanted: "an RFC 3339 time",
            }),
        }
    }

    fn data(&self) -> Result<Value, ReadError> {
        let path = || "data".to_owned();
        let data = self
            .data
            .ok_or_else(|| ReadError::FieldMissing { path: path() })?;
        match fields::parse(data.get()) {
            Ok(data @ Value::Object(_)) => Ok(data),
            _ => Err(ReadError::FieldMalformed {
                path: path(),
                wanted: "an object",
            }),
        }
    }
}
