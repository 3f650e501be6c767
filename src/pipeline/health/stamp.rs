//! The time of the last success of something.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When something last succeeded, if ever. Set from anywhere, read from anywhere.
#[derive(Debug, Default)]
pub(super) struct Stamp(Mutex<Option<Instant>>);

impl Stamp {
    pub(super) fn set(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns how long ago it was.
    pub(super) fn age(&self) -> Option<Duration> {
        let at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.map(|at| at.elapsed())
    }
}
