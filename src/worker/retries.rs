//! Pauses between tries while something is away.

use std::time::Duration;

use crate::pause::Pauses;

/// About as long as a failover takes at best.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause. What comes back is noticed within this time. To ask a store that is known to be
/// away costs nothing.
const LONGEST: Duration = Duration::from_secs(2);

/// The pauses of one outage.
pub(super) struct Backoff(Pauses);

impl Backoff {
    /// Begins with the shortest.
    pub(super) fn new() -> Self {
        Self(Pauses::between(FIRST, LONGEST))
    }

    /// Returns the time to wait before the next try.
    pub(super) fn next(&mut self) -> Duration {
        self.0.next()
    }
}
