//! What a process has seen of the work queue: how much lay in it, and when it stood still.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lapin::types::ShortString;
use tracing::{error, warn};

use crate::queue::Lane;

/// The connections that are to last; others are made for a question and closed again.
const LASTING: [&str; 3] = ["publisher", "worker", "dead letters"];

/// What is known of the queue, for monitoring and for error messages.
#[derive(Debug, Default)]
pub struct QueueWatch {
    standstills: AtomicU64,
    losses: AtomicU64,
    work: Mutex<Option<Seen>>,
    /// True from when the work queue was found gone until that was reported.
    missed: AtomicBool,
    /// Messages that this process published to the work queue since it was last seen.
    published: AtomicU64,
    /// How many connections were made so far, by what they are for.
    connected: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    messages: u64,
    at: Instant,
}

impl QueueWatch {
    /// Counts how often messages waited in a queue and the broker sent none, so that the consumer
    /// had to connect anew.
    pub fn standstills(&self) -> u64 {
        self.standstills.load(Ordering::Relaxed)
    }

    /// Counts how often the work queue had gone and was declared anew by this process.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// Counts the connections that were made anew after one was lost, by what they are for.
    pub fn remade(&self) -> Vec<(&'static str, u64)> {
        let connected = self.connected.lock();
        let connected = connected.unwrap_or_else(PoisonError::into_inner);
        let lasting = connected.iter().filter(|(link, _)| LASTING.contains(link));
        let remade = lasting.map(|(link, count)| (*link, count.saturating_sub(1)));
        remade.collect()
    }

    pub(super) fn count_connected(&self, link: &'static str) {
        let connected = self.connected.lock();
        let mut connected = connected.unwrap_or_else(PoisonError::into_inner);
        *connected.entry(link).or_default() += 1;
    }

    pub(super) fn count_standstill(&self, lane: Lane, seconds: u64, messages: u64) {
        self.standstills.fetch_add(1, Ordering::Relaxed);
        warn!(
            lane = lane.name(),
            seconds,
            messages,
            "messages wait in the queue and none comes to this worker; connecting anew"
        );
    }

    /// Notes that the work queue is gone.
    pub(super) fn note_work_missing(&self) {
        self.missed.store(true, Ordering::Relaxed);
    }

    /// True once after the work queue was found gone.
    pub(super) fn take_work_missing(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }

    /// Returns true if the work queue was neither seen nor missed yet.
    pub(super) fn is_new(&self) -> bool {
        self.work().is_none() && !self.missed.load(Ordering::Relaxed)
    }

    /// Returns true if the work queue has been there and has not been missed since.
    pub(super) fn expects_work(&self) -> bool {
        self.work().is_some() && !self.missed.load(Ordering::Relaxed)
    }

    /// Notes how many messages lie in the work queue.
    pub(super) fn note_work_depth(&self, messages: u64) {
        let at = Instant::now();
        *self.work() = Some(Seen { messages, at });
        self.published.store(0, Ordering::Relaxed);
    }

    pub(super) fn count_published(&self) {
        self.published.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that the work queue is gone, and what was in it as far as is known.
    pub(super) fn report_loss(&self, queue: &ShortString) {
        self.losses.fetch_add(1, Ordering::Relaxed);
        let seen = *self.work();
        error!(
            queue = queue.as_str(),
            messages_last_seen = seen.map(|it| it.messages),
            seconds_ago = seen.map(|it| it.at.elapsed().as_secs()),
            published_since = self.published.load(Ordering::Relaxed),
            "the work queue was deleted and is declared anew: webhooks that were acknowledged and \
             not yet processed may be lost. Have the providers send again what they sent since \
             shortly before the last look; what was processed already changes nothing"
        );
    }

    fn work(&self) -> MutexGuard<'_, Option<Seen>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
