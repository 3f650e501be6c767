//! Floods: of many lines that say the same, the first few are written and the rest counted.
//!
//! Two lines say the same if they come from the same place in the code with the same texts. Ids of
//! requests, addresses of clients and numbers are left out of the comparison: they differ in a flood
//! while nothing else does. A line about an event is never left out, nor one for debugging; two
//! errors say the same only if their numbers are equal too.
//!
//! Refused: the crate tracing-throttle, which sums up in lines that collectors cannot query by the
//! fields of the lines they stand for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The time over which equal lines are counted.
const INTERVAL: Duration = Duration::from_secs(10);

/// Equal lines of one interval that are written whole.
const WHOLE: u64 = 5;

/// Kinds of lines that are told apart. Beyond, since a stranger can make up any number of apps, only
/// place and code count.
const MOST_KINDS: usize = 256;

/// Fields that differ from line to line while nothing else does.
const IGNORED: [&str; 3] = ["request.id", "client.address", "client.port"];

/// The field of a line that stands for others.
const REPEATED: &str = "repeated";

/// The layer that leaves lines out.
pub(super) struct Sampling(Summaries);

/// The lines that were left out. Cheap to clone; all clones share their counts.
#[derive(Clone, Default)]
pub struct Summaries(Arc<Mutex<HashMap<Kind, Count>>>);

/// What equal lines have in common.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    place: Identifier,
    texts: Vec<(&'static str, String)>,
}

struct Count {
    level: Level,
    since: Instant,
    written: u64,
    left_out: u64,
}

impl Sampling {
    pub(super) fn new() -> (Self, Summaries) {
        let summaries = Summaries::default();
        (Self(summaries.clone()), summaries)
    }
}

impl<S: Subscriber> Layer<S> for Sampling {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let fields = metadata.fields();
        let is_whole = *metadata.level() > Level::INFO
            || fields.field("event.id").is_some()
            || fields.field(REPEATED).is_some();
        is_whole || self.0.count(event, Instant::now())
    }
}

impl Summaries {
    /// Sums up what was left out, once an interval, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        while tokio::time::timeout(INTERVAL / 10, shutdown.cancelled())
            .await
            .is_err()
        {
            self.write(INTERVAL);
        }
        self.write(Duration::ZERO);
    }

    /// Counts a line; true if it is to be written.
    fn count(&self, event: &Event<'_>, now: Instant) -> bool {
        let level = *event.metadata().level();
        let mut kind = Kind {
            place: event.metadata().callsite(),
            texts: Vec::new(),
        };
        event.record(&mut Texts {
            texts: &mut kind.texts,
            with_numbers: level == Level::ERROR,
        });
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST_KINDS && !counts.contains_key(&kind) {
            if level == Level::ERROR {
                return true;
            }
            kind.texts
                .retain(|(name, _)| matches!(*name, "message" | "error.code"));
        }
        let count = match counts.entry(kind) {
            Entry::Occupied(count) => count.into_mut(),
            Entry::Vacant(new) => new.insert(Count {
                level,
                since: now,
                written: 0,
                left_out: 0,
            }),
        };
        if count.written < WHOLE {
            count.written += 1;
            return true;
        }
        count.left_out += 1;
        false
    }

    /// Writes a line for each kind that was counted for as long as `age`, and forgets it.
    fn write(&self, age: Duration) {
        let ended: Vec<(Kind, Count)> = {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = counts.extract_if(|_, count| count.since.elapsed() >= age);
            ended.collect()
        };
        // Without the lock: these lines come through the layer too.
        for (kind, count) in ended {
            if count.left_out > 0 {
                sum_up(&kind, &count);
            }
        }
    }
}

fn sum_up(kind: &Kind, count: &Count) {
    let text = |name: &str| {
        let mut texts = kind.texts.iter();
        texts.find(|(it, _)| *it == name).map(|(_, text)| &**text)
    };
    let seconds = count.since.elapsed().as_secs();
    let (left_out, message) = (count.left_out, text("message").unwrap_or("a line"));
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "tollgate",
                app = text("app"),
                provider = text("provider"),
                part = text("part"),
                error.code = text("error.code"),
                error = text("error"),
                repeated = left_out,
                "{message}: {left_out} more in the last {seconds} s"
            )
        };
    }
    match count.level {
        Level::ERROR => line!(error),
        Level::WARN => line!(warn),
        _ => line!(info),
    }
}

/// Collects the texts of a line.
struct Texts<'a> {
    texts: &'a mut Vec<(&'static str, String)>,
    with_numbers: bool,
}

impl Texts<'_> {
    fn number(&mut self, field: &Field, value: &dyn ToString) {
        if self.with_numbers {
            self.record_str(field, &value.to_string());
        }
    }
}

impl Visit for Texts<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if !IGNORED.contains(&field.name()) {
            self.texts.push((field.name(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, &value);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::tests::Lines;

    /// Returns the lines of some work, and of a summary behind it.
    fn written(work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let (sampling, summaries) = Sampling::new();
        let text = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(sampling).with(text);
        tracing::subscriber::with_default(subscriber, || {
            work();
            summaries.write(Duration::ZERO);
            summaries.write(Duration::ZERO);
        });
        lines.text()
    }

    #[test]
    fn of_a_flood_the_first_lines_are_written_and_the_rest_counted() {
        let text = written(|| {
            for n in 0..1_000 {
                tracing::warn!(app = "a", request.id = %n, messages = n, "refused");
                tracing::warn!(app = "b", request.id = %n, "another");
            }
            tracing::warn!(app = "c", "refused");
        });
        let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
        assert_eq!(count("refused"), 5 + 1 + 1, "{text}");
        assert_eq!(count("another"), 5 + 1, "{text}");
        assert!(text.contains("refused: 995 more in the last 0 s app=\"a\" repeated=995"));
    }

    #[test]
    fn a_line_about_an_event_and_an_error_of_its_own_are_always_written() {
        let text = written(|| {
            for n in 0..100 {
                tracing::warn!(event.id = "evt_1", "event failed");
                tracing::error!(seq = n, "cannot be read");
                tracing::debug!("detail");
            }
        });
        for part in ["event failed", "cannot be read", "detail"] {
            let count = text.lines().filter(|line| line.contains(part)).count();
            assert_eq!(count, 100, "{part}");
        }
    }

    #[test]
    fn made_up_names_cannot_fill_the_log() {
        let text = written(|| {
            for n in 0..10_000 {
                let app = format!("app-{n}");
                tracing::info!(app, "webhook refused");
            }
        });
        let most = MOST_KINDS + 2 * usize::try_from(WHOLE).unwrap();
        assert!(text.lines().count() <= most, "{}", text.lines().count());
        assert!(text.contains("more in the last"));
    }
}
