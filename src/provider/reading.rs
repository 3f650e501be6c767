//! The meaning of a payload, or the reason why it has none.

use super::head::PayloadError;
use crate::domain::billing::fact::{Fact, Occurrence};
use crate::domain::time::Timestamp;

/// A payload, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When it happened by the provider's clock; `None` if an ignored payload does not say.
    pub occurred_at: Option<Timestamp>,
    /// Live or not, as the payload (Stripe) or the secret's mode (Paddle) says; `None` if neither
    /// does. Facts count an unsaid one as live. Never live if it was [simulated](Self::simulated).
    pub livemode: Option<bool>,
    /// Stripe Connect's account (`acct_…`) that the event concerns, if it is not the endpoint's
    /// own.
    pub connected: Option<String>,
    /// True if the provider only simulated it (Paddle's webhook simulator). It may carry ids of real
    /// objects, so it counts as a test event.
    pub simulated: bool,
    /// The meaning.
    pub meaning: Meaning,
}

/// The meaning of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It says something about billing, if only [background](Fact::is_background).
    Facts(Occurrence),
    /// It says nothing that access depends on.
    Ignored(IgnoreReason),
}

impl Meaning {
    /// Of a payload of a type that is read; without facts it has nothing to say.
    pub(super) fn of(at: Timestamp, facts: Vec<Fact>) -> Self {
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
    /// Its type is read, but this one says nothing that access depends on: a credit, a draft without
    /// a customer, or a checkout that only saves a card.
    Content,
    /// Live at a test secret, or the reverse.
    LivemodeMismatch,
    /// Simulated by the provider, at a live secret.
    Simulated,
}

impl IgnoreReason {
    /// The stable error code in the event ledger; `None` where nothing is wrong.
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::Type | Self::Content => None,
            Self::LivemodeMismatch => Some("livemode_mismatch"),
            Self::Simulated => Some("simulated"),
        }
    }
}

/// A word that names no provider whose webhooks are received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a provider ({known})")]
pub struct UnknownProvider {
    /// The word, cut to a decent length.
    pub(super) text: String,
    /// Those there are.
    pub(super) known: String,
}

/// Why a payload of a type that is read cannot be understood. Trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It came from a provider that this version does not know.
    #[error(transparent)]
    Provider(#[from] UnknownProvider),
    /// It is no JSON object.
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
        /// The expected type, such as `a list`.
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
