//! How a line is laid out: there is one for each event, so every byte of it counts. A line that is written
//! while a request is served has the request's fields too, whether spans are made or not.

use std::fmt::{self, Write};

use serde::Serialize;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::time::ChronoUtc;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::request_context::RequestContext;

/// Timestamps have milliseconds, as durations do.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";

/// Lines that show their target, except those whose target is the crate itself.
pub(super) struct Lines<F> {
    with_target: Format<F, ChronoUtc>,
    without: Format<F, ChronoUtc>,
    /// Adds the fields of a request to a line, before its end.
    add_request: fn(&mut String, &RequestContext) -> fmt::Result,
}

/// Lines of text. Colours are escape sequences, which do not belong in a file or a pipe.
pub(super) fn text(is_terminal: bool) -> Lines<Full> {
    let format = Format::default().with_timer(ChronoUtc::new(TIME.to_owned()));
    Lines::new(format.with_ansi(is_terminal), add_to_text)
}

/// Lines that are JSON objects. The fields of the event go to the top level, where a query finds them.
pub(super) fn json() -> Lines<Json> {
    let format = Format::default().with_timer(ChronoUtc::new(TIME.to_owned()));
    Lines::new(format.json().flatten_event(true), add_to_json)
}

impl<F: Clone> Lines<F> {
    fn new(
        format: Format<F, ChronoUtc>,
        add_request: fn(&mut String, &RequestContext) -> fmt::Result,
    ) -> Self {
        Self {
            with_target: format.clone(),
            without: format.with_target(false),
            add_request,
        }
    }
}

fn add_to_text(line: &mut String, request: &RequestContext) -> fmt::Result {
    line.truncate(line.trim_end().len());
    write!(
        line,
        " request.id={} http.method={}",
        request.id, request.method
    )?;
    if let Some(route) = &request.route {
        write!(line, " http.route={route}")?;
    }
    line.write_char('\n')
}

fn add_to_json(line: &mut String, request: &RequestContext) -> fmt::Result {
    #[derive(Serialize)]
    struct Fields<'a> {
        #[serde(rename = "request.id")]
        id: &'a str,
        #[serde(rename = "http.method")]
        method: &'a str,
        #[serde(rename = "http.route", skip_serializing_if = "Option::is_none")]
        route: Option<&'a str>,
    }
    let fields = Fields {
        id: &request.id,
        method: request.method,
        route: request.route.as_deref(),
    };
    let fields = serde_json::to_string(&fields).map_err(|_| fmt::Error)?;
    line.truncate(line.trim_end().len());
    // The line's object is opened again, and the request's fields follow without their opening brace.
    if line.pop() != Some('}') {
        return Err(fmt::Error);
    }
    writeln!(line, ",{}", &fields[1..])
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
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let is_of_program = event.metadata().target() == env!("CARGO_CRATE_NAME");
        let format = if is_of_program {
            &self.without
        } else {
            &self.with_target
        };
        // A line about an event has the id of the request that brought it, which is another one.
        let is_named = event.fields().any(|field| field.name() == "request.id");
        let of_request = |request: &RequestContext| {
            let mut line = String::new();
            format.format_event(context, Writer::new(&mut line), event)?;
            (self.add_request)(&mut line, request)?;
            writer.write_str(&line)
        };
        let written = (!is_named).then(|| RequestContext::with(of_request));
        match written.flatten() {
            Some(written) => written,
            None => format.format_event(context, writer, event),
        }
    }
}
