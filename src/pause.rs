//! Pauses between tries: growing, with jitter, without end.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// The pauses of one row of tries.
pub(crate) struct Pauses {
    pauses: ExponentialBackoff,
    longest: Duration,
}

impl Pauses {
    /// Begins with one pause, and ends with another.
    pub(crate) fn between(first: Duration, longest: Duration) -> Self {
        let pauses = ExponentialBackoff {
            initial_interval: first,
            current_interval: first,
            max_interval: longest,
            // Never give up: whoever tries decides how often.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { pauses, longest }
    }

    /// Returns the time to wait before the next try.
    pub(crate) fn next(&mut self) -> Duration {
        self.pauses.next_backoff().unwrap_or(self.longest)
    }
}
