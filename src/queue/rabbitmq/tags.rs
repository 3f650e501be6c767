//! The broker's tags of one session: which are unsettled, and what acknowledges those that are settled.
//!
//! Batches finish in any order. One ack can cover all lower tags, and costs as much as the ack of one. So a
//! settled tag waits until no lower one is unsettled, within limits of time and number.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// The most settled tags that wait: two of the worker's batches, a quarter of what the broker sends ahead.
const MOST_WAITING: usize = 256;

/// The longest that they wait while nothing else is settled: too short for anybody to notice in the queue's
/// count of unacknowledged messages.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// An acknowledgement: a tag, and whether it is of all tags before it, too.
pub(super) type Ack = (u64, bool);

/// The tags of a session.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// In the worker's hands, parked, or still to be handed out.
    unsettled: BTreeSet<u64>,
    /// Settled, and not acknowledged yet.
    waiting: BTreeSet<u64>,
    /// When the last ones were settled.
    settled_at: Option<Instant>,
}

impl Tags {
    /// Adds what the broker has sent.
    pub(super) fn extend(&mut self, tags: impl Iterator<Item = u64>) {
        self.unsettled.extend(tags);
    }

    /// Returns true if a tag is unsettled.
    pub(super) fn has_unsettled(&self, tag: u64) -> bool {
        self.unsettled.contains(&tag)
    }

    /// Counts what the broker takes for unsettled.
    pub(super) fn unacknowledged(&self) -> usize {
        self.unsettled.len() + self.waiting.len()
    }

    /// Settles tags, and returns what is to be sent now.
    pub(super) fn settle(&mut self, done: &[u64], now: Instant) -> Vec<Ack> {
        for tag in done {
            self.unsettled.remove(tag);
        }
        self.waiting.extend(done);
        self.settled_at = Some(now);
        let lowest = self.unsettled.first().copied().unwrap_or(u64::MAX);
        let above = self.waiting.split_off(&lowest);
        let below = std::mem::replace(&mut self.waiting, above);
        let mut acks = Vec::from_iter(below.last().map(|tag| (*tag, true)));
        if self.waiting.len() > MOST_WAITING {
            acks.extend(self.rest());
        }
        acks
    }

    /// Returns what acknowledges all tags that wait, each alone.
    pub(super) fn rest(&mut self) -> Vec<Ack> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|tag| (tag, false)).collect()
    }

    /// When the tags that wait are acknowledged at the latest; `None` if none does.
    pub(super) fn acknowledge_at(&self) -> Option<Instant> {
        let settled_at = self.settled_at.filter(|_| !self.waiting.is_empty());
        settled_at.map(|at| at + LONGEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(count: u64) -> Tags {
        let mut tags = Tags::default();
        tags.extend(1..=count);
        tags
    }

    #[test]
    fn what_ends_in_its_order_takes_one_frame() {
        let mut tags = tags(6);
        assert_eq!(tags.settle(&[1, 2, 3], Instant::now()), [(3, true)]);
        assert_eq!(tags.settle(&[4, 5, 6], Instant::now()), [(6, true)]);
        assert_eq!(tags.unacknowledged(), 0);
        assert_eq!(tags.acknowledge_at(), None);
    }

    #[test]
    fn what_ends_early_waits_for_what_is_before_it() {
        let mut tags = tags(6);
        let now = Instant::now();
        assert_eq!(tags.settle(&[2, 4, 6], now), []);
        assert_eq!(tags.acknowledge_at(), Some(now + LONGEST_WAIT));
        assert!(!tags.has_unsettled(2) && tags.has_unsettled(3));
        assert_eq!(tags.settle(&[1, 3], now), [(4, true)]);
        assert_eq!(tags.rest(), [(6, false)]);
        assert_eq!(tags.unacknowledged(), 1);
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut tags = tags(1_000);
        let done: Vec<u64> = (2..=300).collect();
        let acks = tags.settle(&done, Instant::now());
        assert_eq!(acks.len(), done.len());
        assert!(acks.iter().all(|(_, multiple)| !multiple));
        assert_eq!(tags.unacknowledged(), 701);
    }
}
