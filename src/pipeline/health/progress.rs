//! What the worker's loops have in hand, and when they last finished something.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::stamp::Stamp;
use crate::domain::time::Timestamp;
use crate::queue::{Delivery, Lane};

/// The time after which messages in hand without a decision are a standstill. A batch takes a
/// fraction of a second, one whose messages must be tried one by one a few.
const STANDSTILL: Duration = Duration::from_secs(5);

/// The progress of a worker's loops. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    settled: Stamp,
    work: Mutex<Option<InHand>>,
    failed: Mutex<Option<InHand>>,
    /// Set when a loop ended although nobody asked it to.
    stopped: Stamp,
}

/// A batch that a loop works on.
#[derive(Clone, Copy, Debug)]
struct InHand {
    since: Instant,
    /// When the oldest of its messages was received that are tried for the first time.
    oldest: Option<Timestamp>,
}

impl Progress {
    /// Notes that a loop has taken a batch.
    pub fn took(&self, lane: Lane, batch: &[Delivery]) {
        // What is tried or processed again did not wait since its receipt.
        let headers = batch.iter().map(|it| it.message.headers());
        let first = headers.filter(|it| it.attempt == 0 && it.replay.is_none());
        let received = first.map(|it| it.received_at);
        let in_hand = InHand {
            since: Instant::now(),
            oldest: received.min(),
        };
        self.set(lane, Some(in_hand));
    }

    /// Notes that the queue has accepted the decision about a batch.
    pub fn settled(&self, lane: Lane) {
        self.0.settled.set();
        self.let_go(lane);
    }

    /// Notes that a loop has nothing in hand any more, whatever became of it.
    pub fn let_go(&self, lane: Lane) {
        self.set(lane, None);
    }

    /// Notes that a loop ended by itself, which only a restart mends.
    pub fn stopped(&self) {
        self.0.stopped.set();
    }

    /// Returns how long ago something was settled.
    pub(super) fn since_settle(&self) -> Option<Duration> {
        self.0.settled.age()
    }

    /// Returns since when the oldest message in hand waits: since its receipt or, if it is tried or
    /// processed again, since it was taken.
    pub fn oldest(&self, now: Timestamp) -> Option<Timestamp> {
        let in_hand = [Lane::Work, Lane::Failed].map(|lane| self.in_hand(lane));
        let oldest = in_hand.into_iter().flatten().map(|it| {
            let taken = now.minus(it.since.elapsed());
            it.oldest.map_or(taken, |received| received.min(taken))
        });
        oldest.min()
    }

    /// Fails if a loop stands still or has ended.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.0.stopped.age().is_some() {
            let reason = "a loop of the worker has ended by a defect; restart the process";
            return Err(Fault::new("worker_stopped", reason));
        }
        let in_hand = [Lane::Work, Lane::Failed].map(|lane| self.in_hand(lane));
        let ages = in_hand.into_iter().flatten().map(|it| it.since.elapsed());
        match ages.max() {
            Some(age) if age > STANDSTILL => {
                let seconds = age.as_secs();
                let reason = format!("messages have been in hand for {seconds} s");
                Err(Fault::new("standstill", reason))
            }
            _ => Ok(()),
        }
    }

    fn in_hand(&self, lane: Lane) -> Option<InHand> {
        *self
            .lane(lane)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, lane: Lane, in_hand: Option<InHand>) {
        *self
            .lane(lane)
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = in_hand;
    }

    fn lane(&self, lane: Lane) -> &Mutex<Option<InHand>> {
        match lane {
            Lane::Work => &self.0.work,
            Lane::Failed => &self.0.failed,
        }
    }
}
