//! Events in the ledger: one verified webhook each, from receipt to outcome.

use serde::{Deserialize, Serialize};

use crate::domain::id::{AppSlug, Provider};
use crate::domain::words::words;

/// The identity of an event. The event of one key changes the store at most once, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// The app whose endpoint received it.
    pub app: AppSlug,
    /// The provider that sent it.
    pub provider: Provider,
    /// The provider's event id.
    pub id: String,
}

/// The result of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventOutcome {
    /// A try failed in a way that may pass; it will be tried again.
    Pending,
    /// It changed a customer or a subscription.
    Applied,
    /// It contained nothing new.
    Unchanged,
    /// It was older than what is already known.
    Superseded,
    /// Events of its type, or of its kind, change nothing.
    Ignored,
    /// It cannot be processed, or its tries are used up.
    Failed,
}

words!(EventOutcome, or "an outcome (pending, applied, unchanged, superseded, ignored or failed)" {
    Pending = "pending",
    Applied = "applied",
    Unchanged = "unchanged",
    Superseded = "superseded",
    Ignored = "ignored",
    Failed = "failed",
});

impl EventOutcome {
    /// True if the event has had its effect, so that another delivery of it is a duplicate.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Applied | Self::Unchanged | Self::Superseded | Self::Ignored => true,
            Self::Pending | Self::Failed => false,
        }
    }
}

/// The reason why an event failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventError {
    /// A stable word, such as `payload_field_missing`.
    pub code: String,
    /// A sentence for people, without the payload's contents.
    pub detail: String,
}
