//! Events as the ledger knows them: one verified webhook each, from receipt to outcome.

use serde::{Deserialize, Serialize};

use crate::domain::id::{AppSlug, Provider};
use crate::domain::words::words;

/// What makes an event one event: it changes the store at most once, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// Whose endpoint received it.
    pub app: AppSlug,
    /// Who sent it.
    pub provider: Provider,
    /// The provider's event id.
    pub id: String,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventOutcome {
    /// A try failed in a way that may pass; it will be tried again.
    Pending,
    /// It changed what is shown.
    Applied,
    /// It said nothing new.
    Unchanged,
    /// It was older than what is known.
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
    /// Whether the event has had its effect, so that another delivery of it is a duplicate.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Applied | Self::Unchanged | Self::Superseded | Self::Ignored => true,
            Self::Pending | Self::Failed => false,
        }
    }
}

/// Why an event failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventError {
    /// A stable word, such as `payload_field_missing`.
    pub code: String,
    /// A sentence for people, without the payload's contents.
    pub detail: String,
}
