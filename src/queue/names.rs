//! The names of exchanges and queues on the broker.

use std::fmt;
use std::time::Duration;

use lapin::types::ShortString;

use super::Lane;
use crate::domain::retry;

/// The routing key to the lane `work`.
pub(super) const WORK_KEY: &str = "work";

/// The routing key to the lane `failed`.
pub(super) const FAILED_KEY: &str = "failed";

/// The version of the queues. To be raised with any change of a queue's arguments. Queues of
/// version 1 had no version in their names.
const VERSION: u32 = 2;

/// The names of exchanges and queues, which begin with the prefix of the settings.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
    version: u32,
    /// Made once, because every message needs it.
    events: ShortString,
}

impl Names {
    /// Creates names that begin with `prefix`, at most a hundred bytes: AMQP limits names to 255.
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            version: VERSION,
            events: short(&format!("{prefix}.events")),
        }
    }

    /// The names of the version before.
    pub(super) fn before(&self) -> Self {
        Self {
            version: self.version.saturating_sub(1).max(1),
            ..self.clone()
        }
    }

    fn named(&self, name: fmt::Arguments<'_>) -> ShortString {
        short(&format!("{}.{name}", self.prefix))
    }

    fn queue(&self, name: fmt::Arguments<'_>) -> ShortString {
        match self.version {
            1 => self.named(name),
            version => self.named(format_args!("{name}.{version}")),
        }
    }

    /// The exchange that receivers, replays and the relay publish to.
    pub(super) fn events(&self) -> ShortString {
        self.events.clone()
    }

    /// The exchange of dead letters.
    pub(super) fn dead_letters(&self) -> ShortString {
        self.named(format_args!("failed"))
    }

    /// The queue of dead letters.
    pub(super) fn failed(&self) -> ShortString {
        self.queue(format_args!("failed"))
    }

    /// The exchange for announcing changes to other systems.
    pub(super) fn changes(&self) -> ShortString {
        self.named(format_args!("changes"))
    }

    /// The exchange that carries the id of the store that owns the queues.
    pub(super) fn installation(&self) -> ShortString {
        self.named(format_args!("installation"))
    }

    /// The value that marks the queues as those of the store with this id.
    pub(super) fn owner(&self, id: &str) -> ShortString {
        self.named(format_args!("installation.{id}"))
    }

    /// All queues of this version.
    pub(super) fn queues(&self) -> impl Iterator<Item = ShortString> {
        let retries = retry::delays().map(|delay| self.retry(delay));
        [self.work(), self.failed()].into_iter().chain(retries)
    }

    /// The queue that workers consume.
    pub(super) fn work(&self) -> ShortString {
        self.queue(format_args!("work"))
    }

    /// The queue in which messages wait for `delay`: the one with the next longer delay, or the
    /// longest.
    pub(super) fn retry(&self, delay: Duration) -> ShortString {
        let mut longest = Duration::ZERO;
        for step in retry::delays() {
            longest = step;
            if longest >= delay {
                break;
            }
        }
        self.queue(format_args!("retry.{}", longest.as_millis()))
    }

    /// The queue of a lane.
    pub(super) fn lane(&self, lane: Lane) -> ShortString {
        match lane {
            Lane::Work => self.work(),
            Lane::Failed => self.failed(),
        }
    }
}

/// Makes a short string of AMQP, cut at the protocol's limit, beyond which the library panics.
pub(super) fn short(text: &str) -> ShortString {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    ShortString::from(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_uses_the_queue_of_that_length_or_the_next_longer_one() {
        let names = Names::new("p");
        for (delay, queue) in [
            (Duration::from_secs(1), "p.retry.1000.2"),
            (Duration::from_secs(2), "p.retry.5000.2"),
            (Duration::from_hours(1), "p.retry.3600000.2"),
            (Duration::from_hours(25), "p.retry.3600000.2"),
        ] {
            assert_eq!(names.retry(delay).as_str(), queue, "{delay:?}");
        }
    }

    #[test]
    fn a_short_string_is_cut_between_characters() {
        assert_eq!(short(&"é".repeat(200)).as_str(), "é".repeat(127));
    }
}
