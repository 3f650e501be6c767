//! An event's id and type: all that is looked at before a webhook is durable.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The longest event id and event type, in bytes. AMQP's short strings end at 255, and no
/// provider comes near.
const MAX_NAME: usize = 100;

/// The part of a payload that the receiver needs.
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

/// The body as text that begins an object. Derived readers would take an array for a struct.
pub(super) fn object_text(body: &[u8]) -> Result<&str, PayloadError> {
    let text = std::str::from_utf8(body).map_err(|_| PayloadError::NotJson)?;
    let text = text.trim_start_matches([' ', '\t', '\r', '\n']);
    match text.as_bytes().first() {
        None => Err(PayloadError::Empty),
        Some(b'{') => Ok(text),
        Some(_) => Err(PayloadError::NotJson),
    }
}

/// Parses JSON, and nothing behind it.
pub(super) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, PayloadError> {
    serde_json::from_str(text).map_err(|_| PayloadError::NotJson)
}

/// The id and type of an event, as they stand in its payload.
pub(super) fn event_head(
    id: Option<&RawValue>,
    event_type: Option<&RawValue>,
) -> Result<EventHead, PayloadError> {
    Ok(EventHead {
        id: name(id, PayloadError::NoId, PayloadError::BadId)?,
        event_type: name(event_type, PayloadError::NoType, PayloadError::BadType)?,
    })
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
