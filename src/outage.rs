//! Outages, each told twice: when it begins, and with its length when it is over.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether something that several parts need is away at present.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    open: Mutex<Option<Open>>,
    /// The time without a failure after which a success ends the outage.
    quiet: Duration,
}

#[derive(Debug)]
struct Open {
    began: Instant,
    last_failure: Instant,
    /// The parts whose last try failed.
    failing: BTreeSet<&'static str>,
    held: u64,
}

/// An outage that is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its length in milliseconds.
    pub(crate) millis: u64,
    /// The number of messages that were kept elsewhere, or had to wait.
    pub(crate) held: u64,
}

impl Outage {
    /// Makes one for something that refuses some and takes others in the same moment, such as a
    /// full queue: a success ends the outage only after this time without a failure.
    pub(crate) fn with_quiet_time(quiet: Duration) -> Self {
        Self {
            open: Mutex::default(),
            quiet,
        }
    }

    /// Notes a failure of a part, and how many more messages are held because of it. Returns true
    /// if an outage begins.
    pub(crate) fn fail(&self, part: &'static str, held: usize) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = open.is_none();
        let now = Instant::now();
        let outage = open.get_or_insert_with(|| Open {
            began: now,
            last_failure: now,
            failing: BTreeSet::new(),
            held: 0,
        });
        outage.last_failure = now;
        outage.failing.insert(part);
        outage.held += u64::try_from(held).unwrap_or_default();
        begins
    }

    /// Notes a success of a part. Returns the outage if no part is left that failed last.
    pub(crate) fn succeed(&self, part: &'static str) -> Option<Ended> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let outage = open.as_mut()?;
        if outage.last_failure.elapsed() < self.quiet {
            return None;
        }
        outage.failing.remove(part);
        if !outage.failing.is_empty() {
            return None;
        }
        let outage = open.take()?;
        Some(Ended {
            millis: u64::try_from(outage.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            held: outage.held,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_once_and_ends_when_no_part_fails() {
        let outage = Outage::default();
        assert_eq!(outage.succeed("events"), None);
        assert!(outage.fail("events", 3));
        assert!(!outage.fail("events", 0));
        assert!(!outage.fail("timers", 2));
        assert_eq!(outage.succeed("events"), None);
        assert_eq!(outage.succeed("timers").map(|it| it.held), Some(5));
        assert_eq!(outage.succeed("timers"), None);
        assert!(outage.fail("events", 0));
    }

    #[test]
    fn a_success_between_failures_ends_nothing() {
        let outage = Outage::with_quiet_time(Duration::from_hours(1));
        assert!(outage.fail("publish", 1));
        assert_eq!(outage.succeed("publish"), None);
        assert!(!outage.fail("publish", 1));
    }
}
