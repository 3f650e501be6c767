//! How a line is laid out: there is one for each event, so every byte of it counts.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::time::ChronoUtc;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Milliseconds are as exact as durations in lines are.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";

/// Lines that say from where they are, but for those that are of the whole program.
pub(super) struct Lines<F> {
    with_target: Format<F, ChronoUtc>,
    without: Format<F, ChronoUtc>,
}

/// Lines of text.
pub(super) fn text() -> Lines<Full> {
    Lines::new(Format::default().with_timer(ChronoUtc::new(TIME.to_owned())))
}

/// Lines that are JSON objects. The fields of the event go to the top level, where a query finds them.
pub(super) fn json() -> Lines<Json> {
    let format = Format::default().with_timer(ChronoUtc::new(TIME.to_owned()));
    Lines::new(format.json().flatten_event(true))
}

impl<F: Clone> Lines<F> {
    fn new(format: Format<F, ChronoUtc>) -> Self {
        Self {
            with_target: format.clone(),
            without: format.with_target(false),
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    Format<F, ChronoUtc>: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let is_of_program = event.metadata().target() == env!("CARGO_CRATE_NAME");
        let format = if is_of_program {
            &self.without
        } else {
            &self.with_target
        };
        format.format_event(context, writer, event)
    }
}
