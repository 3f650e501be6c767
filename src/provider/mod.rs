//! The providers' wire formats, turned into facts.
//!
//! The way of a webhook: [`Spec::verify`] proves who sent it; [`Spec::head`] finds its id and
//! type, which is all that the receiver needs; later the worker has [`read`] turn it into
//! [`Fact`]s, behind which nobody knows JSON or a provider's words.
//! All of it is pure: bytes in, values out, no clock, no network.
//!
//! A provider is a folder with its [`Spec`], and a line in [`ALL`].
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
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::billing::fact::{Fact, Occurrence};
use crate::domain::id::Provider;
use crate::domain::time::Timestamp;

pub use paddle::PADDLE;
pub use sample::{EventType, TYPES, sample, types};
pub use signature::{Mode, Secret, SignatureError, VerifiedWebhook};
pub use stripe::STRIPE;

/// The providers whose webhooks are received, in the order in which they are listed everywhere.
pub const ALL: &[&Spec] = &[STRIPE, PADDLE];

/// All there is to know of a provider's webhooks.
pub struct Spec {
    /// Whose they are.
    pub name: Provider,
    /// The header that carries the signature.
    pub header: &'static str,
    /// The field of a payload that holds the event's id.
    pub event_id: &'static str,
    signature: &'static dyn signature::Signature,
    head: fn(&str) -> Result<EventHead, PayloadError>,
    read: fn(&str, &str, Mode) -> Result<Reading, ReadError>,
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spec").field(&self.name.as_str()).finish()
    }
}

impl FromStr for &'static Spec {
    type Err = UnknownProvider;
    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        let mut all = ALL.iter().copied();
        all.find(|spec| spec.name.as_str() == text)
            .ok_or_else(|| UnknownProvider {
                text: text.chars().take(80).collect(),
            })
    }
}

/// A word that names none of the providers in [`ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProvider {
    text: String,
}

impl fmt::Display for UnknownProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = names().map(|name| format!("`{name}`")).collect();
        write!(
            f,
            "`{}` is not a provider ({})",
            self.text,
            names.join(" or ")
        )
    }
}

impl std::error::Error for UnknownProvider {}

/// The names of the providers in [`ALL`].
pub fn names() -> impl Iterator<Item = Provider> {
    ALL.iter().map(|spec| spec.name)
}

/// The other forms in which an external id may be written: `cus_1` for `stripe_cus_1`, and the
/// reverse. Which provider an id without prefix belongs to it does not say; all are given.
pub fn other_spellings(external_id: &str) -> Vec<String> {
    let bare = names().find_map(|name| {
        let rest = external_id.strip_prefix(name.as_str())?;
        rest.strip_prefix('_')
    });
    match bare {
        Some(bare) => vec![bare.to_owned()],
        None => names()
            .map(|name| format!("{name}_{external_id}"))
            .collect(),
    }
}

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
    /// It came from a provider that this version does not know.
    #[error(transparent)]
    Provider(#[from] UnknownProvider),
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
            Self::Provider(_) => "provider_unknown",
            Self::Payload(error) => error.code(),
            Self::FieldMissing { .. } => "payload_field_missing",
            Self::FieldMalformed { .. } => "payload_field_malformed",
        }
    }
}

impl Spec {
    /// Finds a payload's id and type, and checks that the whole of it is JSON; everything else is
    /// skipped without being built.
    ///
    /// # Errors
    /// See [`PayloadError`].
    pub fn head(&self, body: &[u8]) -> Result<EventHead, PayloadError> {
        (self.head)(object_text(body)?)
    }

    /// Says what a payload means. `mode` is that of the secret which signed it.
    ///
    /// # Errors
    /// See [`ReadError`]: only for payloads of types that are read.
    pub fn read(&self, body: &[u8], mode: Mode) -> Result<Reading, ReadError> {
        let head = self.head(body)?;
        (self.read)(object_text(body)?, &head.event_type, mode)
    }
}

/// Says what a payload of a provider means, see [`Spec::read`].
///
/// # Errors
/// See [`ReadError`]; [`ReadError::Provider`] if the provider is not in [`ALL`].
pub fn read(provider: Provider, body: &[u8], mode: Mode) -> Result<Reading, ReadError> {
    let spec: &Spec = provider.as_str().parse()?;
    spec.read(body, mode)
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

/// The id and type of an event, as they stand in its payload.
fn event_head(
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
