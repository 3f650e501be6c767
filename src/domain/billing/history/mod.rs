//! What is kept of billing accounts, subscriptions, disputes and refunds.
//!
//! Each part is a join: a set, a map of minima or maxima, or the facts of the newest instants.
//! Putting a fact in commutes with every other and repeats harmlessly, so what is kept depends
//! on which facts came and not on when or how often. Nothing here judges; `standing`,
//! `identity` and `derive` read it.

pub use self::money::{DisputeHistory, RefundHistory, RefundPart};
pub use self::subscription::{Mark, SubscriptionHistory, Terminal};
use crate::domain::time::Timestamp;

mod money;
mod subscription;

/// What is kept of an object that events only named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfetchedHistory {
    /// Newest instant of such an event.
    pub at: Timestamp,
    /// Admin act: newest of these instants whose flag was cleared.
    pub cleared_at: Option<Timestamp>,
}

impl UnfetchedHistory {
    /// An object that an event of this instant names.
    pub const fn new(at: Timestamp) -> Self {
        Self {
            at,
            cleared_at: None,
        }
    }

    /// Another event names the object.
    pub fn join(&mut self, at: Timestamp) {
        self.at = self.at.max(at);
    }
}
