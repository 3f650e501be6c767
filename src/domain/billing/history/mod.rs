//! Histories: what is remembered of subscriptions, features, payments, disputes and refunds.
//!
//! Each history is a state-based CRDT whose join merges facts: a set, a map of minima or maxima, or
//! the facts of the newest instants. Joins are commutative and idempotent, so a history depends on
//! which facts came and not on when or how often. Nothing here judges; `assessment`, `identity` and
//! `dossier` read it.

pub use self::dispute::DisputeHistory;
pub use self::features::FeatureHistory;
pub use self::payment::{Failed, Lines, Paid, PaymentHistory};
pub use self::refund::RefundHistory;
pub use self::subscription::{Mark, MarkKind, SubscriptionHistory, Terminal};
use crate::domain::time::Timestamp;

mod dispute;
mod features;
mod payment;
mod refund;
mod subscription;

/// The history of an object that events only named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfetchedHistory {
    /// The newest instant of such an event.
    pub at: Timestamp,
    /// Admin act: the newest of these instants whose flag was cleared.
    pub cleared_at: Option<Timestamp>,
}

impl UnfetchedHistory {
    /// Creates the history of an object that an event of this instant names.
    pub const fn new(at: Timestamp) -> Self {
        Self {
            at,
            cleared_at: None,
        }
    }

    /// Merges another event that names the object.
    pub fn join(&mut self, at: Timestamp) {
        self.at = self.at.max(at);
    }
}
