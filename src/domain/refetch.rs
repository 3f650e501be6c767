//! Asking a provider anew: when an app wants it, and why an object is asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::words::words;

/// When a provider is asked about an object. Without an API key it never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refetch {
    /// Never: what events do not say stays unknown.
    Never,
    /// Where events leave something open.
    #[default]
    WhenUnsure,
    /// There, and after each event about a subscription.
    Always,
}

words!(Refetch, or "a time to ask the provider (`never`, `when_unsure` or `always`)" {
    Never = "never",
    WhenUnsure = "when_unsure",
    Always = "always",
});

/// Why an object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefetchReason {
    /// An event named it without showing it (Stripe's thin events).
    ThinEvent,
    /// Events do not tell which of its states is the last.
    Ambiguous,
    /// An event listed only a part of what is in it.
    ItemsIncomplete,
    /// A Checkout session was paid, and no event lists what was bought.
    LineItems,
    /// A dispute or a refund names nobody, and this is the payment that it is about.
    Unlinked,
    /// A billing account of which nothing but the id is known.
    NoContact,
    /// Its period ended, and no word came since.
    Overdue,
    /// There was an event about it, and the app wants its word each time.
    Always,
}

words!(RefetchReason, or "a reason to ask a provider" {
    ThinEvent = "thin_event",
    Ambiguous = "ambiguous",
    ItemsIncomplete = "items_incomplete",
    LineItems = "line_items",
    Unlinked = "unlinked",
    NoContact = "no_contact",
    Overdue = "overdue",
    Always = "always",
});

impl RefetchReason {
    /// The time between the need and the question. A burst of events about one object ends in it,
    /// and the provider's clock, in whole seconds, is past the events that were unclear.
    pub const fn patience(self) -> Duration {
        match self {
            // Most often its own event is on the way.
            Self::NoContact => Duration::from_mins(1),
            Self::ThinEvent
            | Self::Ambiguous
            | Self::ItemsIncomplete
            | Self::LineItems
            | Self::Unlinked
            | Self::Overdue
            | Self::Always => Duration::from_secs(3),
        }
    }
}

/// The longest time between two questions about one object.
pub const LONGEST: Duration = Duration::from_hours(1);

/// The time before the next question about an object, after a number of them that led to nothing:
/// five seconds, then four times as long each time, up to an hour.
pub fn pause_after(attempts: i64) -> Duration {
    let doublings = u32::try_from(2 * attempts.clamp(1, 8) - 2).unwrap_or_default();
    Duration::from_secs(5 << doublings).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let pauses = [0, 1, 2, 3, 6, 100].map(|it| pause_after(it).as_secs());
        assert_eq!(pauses, [5, 5, 20, 80, 3_600, 3_600]);
    }
}
