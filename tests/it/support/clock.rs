//! A clock that stands where the test sets it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tollgate::clock::Clock;
use tollgate::domain::time::Timestamp;

/// Stands still until it is told to go on.
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    /// Stands at so many seconds since 1970.
    pub(crate) fn at(seconds: i64) -> Self {
        Self(AtomicI64::new(nanos(seconds)))
    }

    pub(crate) fn set(&self, seconds: i64) {
        self.0.store(nanos(seconds), Ordering::SeqCst);
    }

    pub(crate) fn pass(&self, duration: Duration) {
        let nanos = i64::try_from(duration.as_nanos()).unwrap();
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

fn nanos(seconds: i64) -> i64 {
    Timestamp::from_seconds(seconds).unwrap().nanos()
}
