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

/// Returns the pause after a number of tries that failed: `first` after one, then `times` as long each
/// time, up to the longest, and a little more or less, so that what failed together does not come
/// back together.
pub(crate) fn pause_after(tries: u32, first: Duration, times: f64, longest: Duration) -> Duration {
    let mut pauses = ExponentialBackoff {
        initial_interval: first,
        current_interval: first,
        multiplier: times,
        randomization_factor: 0.1,
        max_interval: longest,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    let mut pause = first;
    for _ in 0..tries.clamp(1, 64) {
        pause = pauses.next_backoff().unwrap_or(longest);
    }
    pause
}
