//! Events in the ledger: one verified webhook each, from receipt to outcome.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::id::{AppSlug, IdError, Provider};

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

impl EventOutcome {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Applied,
        Self::Unchanged,
        Self::Superseded,
        Self::Ignored,
        Self::Failed,
    ];

    /// Returns the word in columns and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::Ignored => "ignored",
            Self::Failed => "failed",
        }
    }

    /// True if the event has had its effect, so that another delivery of it is a duplicate.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Applied | Self::Unchanged | Self::Superseded | Self::Ignored => true,
            Self::Pending | Self::Failed => false,
        }
    }
}

impl fmt::Display for EventOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventOutcome {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| {
                IdError::new(
                    text,
                    "an outcome (pending, applied, unchanged, superseded, ignored or failed)",
                )
            })
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
