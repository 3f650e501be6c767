//! The providers' wire formats, turned into facts.
//!
//! The way of a webhook: [`signature::verify`] proves who sent it; [`head`] finds its id and
//! type, which is all that the receiver needs; later the worker has [`read`] turn it into
//! [`Fact`]s, behind which nobody knows JSON or a provider's words.
//! All of it is pure: bytes in, values out, no clock, no network.
//!
//! Payloads are read by place, not into the providers' full types. A receiver meets many API
//! versions at once, since each endpoint is pinned to one and test tools send others, and typed
//! models accept about one version each. So every field is looked for in each place where some
//! version has it, the newest first, and the version itself is never asked: it may be absent.
//! Unknown fields are skipped, unknown types are ignored unread, unknown words in open lists
//! (statuses) are kept as they are. What a fact cannot do without is named by its path when it
//! is missing.

mod fields;
mod paddle;
mod sample;
pub mod signature;
mod stripe;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::billing::fact::{Fact, Occurrence};
use crate::domain::id::Provider;
use crate::domain::time::Timestamp;

pub use sample::{EventType, TYPES, sample, types};
pub use signature::{Mode, Secret, SignatureError, VerifiedWebhook, header_name, sign, verify};

/// The longest event id and event type, in bytes. AMQP's short strings end at 255, and no
/// provider comes near.
const MAX_NAME: usize = 100;

/// What the receiver needs to know of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// The provider's event id: Stripe's `id`, Paddle's `event_id` (not `notification_id`, which
    /// differs between replays).
    pub id: String,
    /// Such as `invoice.paid` or `subscription.updated`.
    pub event_type: String,
}

/// Why a payload has no usable id and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Nothing, or only blanks.
    #[error("the body is empty")]
    Empty,
    /// Not UTF-8, not JSON, more than JSON, or not an object.
    #[error("the body is not a JSON object")]
    NotJson,
    /// The event id is missing, null or empty.
    #[error("the event has no id")]
    NoId,
    /// The event type is missing, null or empty.
    #[error("the event has no type")]
    NoType,
    /// The event id is no text, longer than 100 bytes, or not printable ASCII.
    #[error("the event's id is not a text of at most 100 printable ASCII characters")]
    BadId,
    /// The event type is no text, longer than 100 bytes, or not printable ASCII.
    #[error("the event's type is not a text of at most 100 printable ASCII characters")]
    BadType,
}

impl PayloadError {
    /// The stable code in answers and the event ledger.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "payload_empty",
            Self::NotJson => "payload_not_json",
            Self::NoId => "payload_no_id",
            Self::NoType => "payload_no_type",
            Self::BadId => "payload_bad_id",
            Self::BadType => "payload_bad_type",
        }
    }
}

/// What a payload means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When it happened by the provider's clock; `None` if an ignored payload does not say.
    pub occurred_at: Option<Timestamp>,
    /// Live or not, as the payload (Stripe) or the secret's mode (Paddle) says; `None` if neither
    /// does. Facts count an unsaid one as live.
    pub livemode: Option<bool>,
    /// Stripe Connect's account (`acct_…`) that the event concerns, if it is not the endpoint's
    /// own.
    pub connected: Option<String>,
    /// What follows from it.
    pub meaning: Meaning,
}

/// What follows from a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It says something about billing, if only [background](Fact::is_background).
    Facts(Occurrence),
    /// It says nothing that access depends on.
    Ignored(IgnoreReason),
}

impl Meaning {
    /// Of a payload of a type that is read; without facts it has nothing to say.
    fn of(at: Timestamp, facts: Vec<Fact>) -> Self {
        if facts.is_empty() {
            Self::Ignored(IgnoreReason::Content)
        } else {
            Self::Facts(Occurrence { at, facts })
        }
    }
}

/// Why a payload says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreReason {
    /// Its type is not read.
    Type,
    /// Its type is read, but this one is about no subscription: a one-off sale, a first payment,
    /// a part of a charge or a pending refund.
    Content,
    /// Live at a test secret, or the reverse.
    LivemodeMismatch,
}

impl IgnoreReason {
    /// The stable error code in the event ledger; `None` where nothing is wrong.
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::Type | Self::Content => None,
            Self::LivemodeMismatch => Some("livemode_mismatch"),
        }
    }
}

/// Why a payload of a type that is read cannot be understood. Trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It has no usable id and type.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A field that the event's facts cannot do without is absent or null.
    #[error("`{path}` is missing")]
    FieldMissing {
        /// Where it should be, such as `data.object.customer`.
        path: String,
    },
    /// A field has a value that cannot be read.
    #[error("`{path}` is not {wanted}")]
    FieldMalformed {
        /// Where it is, such as `data.items[0].price.id`.
        path: String,
        /// What it should be, such as `a list`.
        wanted: &'static str,
    },
}

impl ReadError {
    /// The stable error code in the event ledger.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Payload(error) => error.code(),
            Self::FieldMissing { .. } => "payload_field_missing",
            Self::FieldMalformed { .. } => "payload_field_malformed",
        }
    }
}

/// Finds a payload's id and type, and checks that the whole of it is JSON; everything else is
/// skipped without being built.
///
/// # Errors
/// See [`PayloadError`].
pub fn head(provider: Provider, body: &[u8]) -> Result<EventHead, PayloadError> {
    #[derive(Deserialize)]
    struct StripeHead<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        r#type: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct PaddleHead<'a> {
        #[serde(borrow)]
        event_id: Option<&'a RawValue>,
        #[serde(borrow)]
        event_type: Option<&'a RawValue>,
    }

    let text = object_text(body)?;
    let (id, event_type) = match provider {
        Provider::Stripe => parse::<StripeHead<'_>>(text).map(|head| (head.id, head.r#type))?,
        Provider::Paddle => {
            parse::<PaddleHead<'_>>(text).map(|head| (head.event_id, head.event_type))?
        }
    };
    Ok(EventHead {
        id: name(id, PayloadError::NoId, PayloadError::BadId)?,
        event_type: name(event_type, PayloadError::NoType, PayloadError::BadType)?,
    })
}

/// Says what a payload means. `mode` is that of the secret which signed it.
///
/// # Errors
/// See [`ReadError`]: only for payloads of types that are read.
pub fn read(provider: Provider, body: &[u8], mode: Mode) -> Result<Reading, ReadError> {
    let head = head(provider, body)?;
    let text = object_text(body)?;
    match provider {
        Provider::Stripe => stripe::read(text, &head.event_type, mode),
        Provider::Paddle => paddle::read(text, &head.event_type, mode),
    }
}

/// The body as text that begins an object. Derived readers would take an array for a struct.
fn object_text(body: &[u8]) -> Result<&str, PayloadError> {
    let text = std::str::from_utf8(body).map_err(|_| PayloadError::NotJson)?;
    let text = text.trim_start_matches([' ', '\t', '\r', '\n']);
    match text.as_bytes().first() {
        None => Err(PayloadError::Empty),
        Some(b'{') => Ok(text),
        Some(_) => Err(PayloadError::NotJson),
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, PayloadError> {
    serde_json::from_str(text).map_err(|_| PayloadError::NotJson)
}

fn name(
    raw: Option<&RawValue>,
    missing: PayloadError,
    bad: PayloadError,
) -> Result<String, PayloadError> {
    let raw = raw.ok_or(missing)?;
    let text: Cow<'_, str> = serde_json::from_str(raw.get()).map_err(|_| bad)?;
    if text.is_empty() {
        return Err(missing);
    }
    if text.len() > MAX_NAME || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(bad);
    }
    Ok(text.into_owned())
}
