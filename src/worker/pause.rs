//! Pauses between tries while something is away: growing, with jitter, without end.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// The longest pause. What comes back is noticed within this time. To ask a store that is known to be
/// away costs nothing.
const LONGEST: Duration = Duration::from_secs(2);

/// The pauses of one outage.
pub(super) struct Pause(ExponentialBackoff);

impl Pause {
    /// Begins with a tenth of a second, about as long as a failover takes at best.
    pub(super) fn new() -> Self {
        Self(ExponentialBackoff {
            initial_interval: Duration::from_millis(100),
            current_interval: Duration::from_millis(100),
            max_interval: LONGEST,
            // Never give up: an outage ends when it ends.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// Returns the time to wait before the next try.
    pub(super) fn next(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(LONGEST)
    }
}
