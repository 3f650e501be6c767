//! Rests between tries while something is away: growing, jittered, never over.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// The longest rest. What comes back is noticed within this time.
const LONGEST: Duration = Duration::from_secs(10);

/// The rests of one outage.
pub(super) struct Pause(ExponentialBackoff);

impl Pause {
    /// Begins with a tenth of a second, the length of a failover's hiccup.
    pub(super) fn new() -> Self {
        Self(ExponentialBackoff {
            initial_interval: Duration::from_millis(100),
            current_interval: Duration::from_millis(100),
            max_interval: LONGEST,
            // An outage ends when it ends: nothing is given up while it lasts.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// How long to rest before the next try.
    pub(super) fn next(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(LONGEST)
    }
}
