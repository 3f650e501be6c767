//! What the worker's loops have in hand, and when they last finished something.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    work: Mutex<Slots>,
    failed: Mutex<Slots>,
    /// Set when a loop ended although nobody asked it to.
    stopped: Stamp,
}

/// The batches that a loop works on, by their slots: one slot, or several that are used at once.
type Slots = BTreeMap<usize, InHand>;

/// A batch that a loop works on.
#[derive(Clone, Copy, Debug)]
struct InHand {
    since: Instant,
    /// When the oldest of its messages was received that are tried for the first time.
    oldest: Option<Timestamp>,
}

impl Progress {
    /// Notes that a loop has taken a batch into a slot.
    pub fn took(&self, lane: Lane, slot: usize, batch: &[Delivery]) {
        // What is tried or processed again did not wait since its receipt.
        let headers = batch.iter().map(|it| it.message.headers());
        let first = headers.filter(|it| it.attempt == 0 && it.replay.is_none());
        let received = first.map(|it| it.received_at);
        let in_hand = InHand {
            since: Instant::now(),
            oldest: received.min(),
        };
        self.slots(lane).insert(slot, in_hand);
    }

    /// Notes that the queue has accepted the decision about the batch of a slot.
    pub fn settled(&self, lane: Lane, slot: usize) {
        self.0.settled.set();
        self.let_go(lane, slot);
    }

    /// Notes that a loop has nothing in this slot any more, whatever became of it.
    pub fn let_go(&self, lane: Lane, slot: usize) {
        self.slots(lane).remove(&slot);
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
        let oldest = self.in_hand().into_iter().map(|it| {
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
        let ages = self.in_hand().into_iter().map(|it| it.since.elapsed());
        match ages.max() {
            Some(age) if age > STANDSTILL => {
                let seconds = age.as_secs();
                let reason = format!("messages have been in hand for {seconds} s");
                Err(Fault::new("standstill", reason))
            }
            _ => Ok(()),
        }
    }

    fn in_hand(&self) -> Vec<InHand> {
        let of = |lane| self.slots(lane).values().copied().collect::<Vec<_>>();
        [Lane::Work, Lane::Failed]
            .into_iter()
            .flat_map(of)
            .collect()
    }

    fn slots(&self, lane: Lane) -> MutexGuard<'_, Slots> {
        let slots = match lane {
            Lane::Work => &self.0.work,
            Lane::Failed => &self.0.failed,
        };
        slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
