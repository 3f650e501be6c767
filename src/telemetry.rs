//! Logs: their format, their words, and what must never be in them.
//!
//! Lines go to standard error, because standard output is for what a command prints. Text is for a
//! person at a terminal, JSON for log collectors; without a setting the terminal decides.
//!
//! # Words
//!
//! A span is named `area.noun.verb`. None is begun unless somebody sees it: a collector of traces, or a
//! filter that names spans.
//!
//! | span | covers |
//! | --- | --- |
//! | `http.request.serve` | one request, whatever it asks for |
//! | `http.webhook.receive` | one webhook, from its bytes to the answer |
//! | `pipeline.event.process` | one event in a worker's batch; only in a program that is built to send traces |
//!
//! So no line relies on a span to be understood: those of a request have its id, method and route
//! themselves (`telemetry/lines.rs`), and each of a worker, which works on batches, names its own event. Each
//! message that it is done with has exactly one line: `event done` where its outcome was committed,
//! or an error that says why it failed.
//!
//! A field has the same name in every span and line:
//!
//! | field | holds |
//! | --- | --- |
//! | `app` | the slug of the app |
//! | `provider` | `stripe` or `paddle` |
//! | `event.id`, `event.type` | as the provider has them |
//! | `customer.id` | our id, `cust_…` |
//! | `http.method`, `http.route` | of a line written while a request is served: its method, and its route as declared |
//! | `request.id` | as in the answer's header and in a problem body; of an event, that of the request which brought it or asked for its replay |
//! | `outcome` | of an event: `applied`, `unchanged`, `superseded`, …, `duplicate` |
//! | `change` | of an event, in words: `active->suspended`, `+acme/forms`, `contact`; absent if none |
//! | `flags` | the kinds of flags that an event raised |
//! | `attempt` | the number of the try; absent for the first |
//! | `duration_ms` | of an event, from its receipt to its outcome |
//! | `outage_ms` | the length of an outage that is over |
//! | `messages` | a number of them: spooled, held or published |
//! | `repeated` | of a line that stands for others, how many |
//! | `error.code` | the stable code that the caller saw too |
//! | `error` | a cause with its sources, once, where it is handled |
//!
//! A message can be understood without its fields. `error` means that somebody must act, `warn`
//! that somebody may want to know; `info` is for what happens a few times a day or once per event.
//!
//! Equal lines are written a few times and then counted (`telemetry/sampling.rs`). What is away is
//! told when it goes and when it is back, with its length, and each try between is for debugging.
//!
//! # Lines of libraries
//!
//! Libraries are heard from `warn` on, and the AMQP client and the certificate verifier never: their
//! errors are logged by whoever called them. A filter that names a library takes precedence. Their `trace`
//! cannot be had at all, because it shows what is sent and received.
//!
//! # Never logged
//!
//! Bodies of webhooks and requests, signatures and their headers, tokens, webhook secrets, keys,
//! addresses of databases and brokers (they contain passwords), e-mail addresses, names and postal
//! addresses. Whoever may see these finds them by id.

mod fields;
mod filter;
mod lines;
#[cfg(feature = "otel")]
mod otel;
mod sampling;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::panic;

use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{Registry, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogConfig, LogFormat};
use fields::SpanFields;
use filter::Filters;
use sampling::Sampling;

#[cfg(feature = "otel")]
pub use otel::Traces;
pub use sampling::Summaries;

/// Nothing, in a program that sends no traces.
#[cfg(not(feature = "otel"))]
pub struct Traces;

#[cfg(not(feature = "otel"))]
impl Traces {
    /// Does nothing.
    pub const fn end(self) {}
}

/// The layer that sends spans, if any are sent.
#[cfg(feature = "otel")]
type Spans = Option<
    tracing_opentelemetry::OpenTelemetryLayer<Registry, opentelemetry_sdk::trace::SdkTracer>,
>;
#[cfg(not(feature = "otel"))]
type Spans = Option<tracing_subscriber::layer::Identity>;

/// Logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse. Cannot happen with loaded settings, which are checked.
    #[error("log filter")]
    Filter(#[from] ParseError),
    /// Something else in this process logs already.
    #[error("start logging")]
    Started(#[from] TryInitError),
    /// The variables of the environment for traces cannot be used.
    #[error("the settings for traces (OTEL_…) cannot be used")]
    Traces(#[source] Box<dyn Error + Send + Sync>),
}

/// Starts logging to standard error, for the rest of the process. May be called only once. Returns the
/// [`Summaries`] of suppressed lines, which are to be run, and the [`Traces`], which send spans until
/// they are told to end.
///
/// # Errors
///
/// When the filter does not parse, and when logging has started before.
pub fn init(config: &LogConfig) -> Result<(Summaries, Traces), TelemetryError> {
    #[cfg(feature = "otel")]
    let (spans, traces): (Spans, Traces) = otel::start().map_err(TelemetryError::Traces)?;
    #[cfg(not(feature = "otel"))]
    let (spans, traces): (Spans, Traces) = (None, Traces);
    let is_terminal = io::stderr().is_terminal();
    let (subscriber, summaries) = subscriber(config, is_terminal, io::stderr, spans)?;
    subscriber.try_init()?;
    panic::set_hook(Box::new(log_panic));
    Ok((summaries, traces))
}

/// Logs a panic. Its text is only written where it is a constant: a formatted one may quote data.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let text = panic.payload().downcast_ref::<&'static str>().copied();
    let place = panic.location().map(ToString::to_string);
    tracing::error!(error = text, place, "a defect: some work ended in a panic");
}

/// Builds the subscriber that writes events as lines to `writer`.
fn subscriber<W>(
    config: &LogConfig,
    is_terminal: bool,
    writer: W,
    spans: Spans,
) -> Result<(Box<dyn Subscriber + Send + Sync>, Summaries), ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (sampling, summaries) = Sampling::new();
    let filters = Filters::parse(&config.filter, spans.is_some())?;
    let registry = Registry::default()
        .with(spans)
        .with(filters.by_target)
        .with(filters.by_span)
        .with(filters.libraries)
        .with(filters.without_spans)
        .with(sampling);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let subscriber: Box<dyn Subscriber + Send + Sync> =
        match effective_format(config.format, is_terminal) {
            LogFormat::Text => {
                let layer = layer.with_ansi(is_terminal);
                Box::new(registry.with(layer.event_format(lines::text(is_terminal))))
            }
            LogFormat::Json => {
                let layer = layer.fmt_fields(SpanFields);
                Box::new(registry.with(layer.event_format(lines::json())))
            }
        };
    Ok((subscriber, summaries))
}

fn effective_format(configured: Option<LogFormat>, is_terminal: bool) -> LogFormat {
    match configured {
        Some(format) => format,
        None if is_terminal => LogFormat::Text,
        None => LogFormat::Json,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::instrument::WithSubscriber;

    use super::*;
    use crate::request_context::RequestContext;

    #[derive(Clone, Default)]
    pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        /// Builds the subscriber that writes to these.
        pub(super) fn subscriber(
            &self,
            filter: &str,
            format: Option<LogFormat>,
            is_terminal: bool,
        ) -> Box<dyn Subscriber + Send + Sync> {
            let filter = filter.to_owned();
            let writer = self.clone();
            let config = LogConfig { filter, format };
            let built = subscriber(&config, is_terminal, move || writer.clone(), None);
            built.unwrap().0
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines written for one event in one span.
    fn written(format: Option<LogFormat>, is_terminal: bool) -> String {
        let lines = Lines::default();
        let filter = "info,[http.webhook.receive]=info";
        let subscriber = lines.subscriber(filter, format, is_terminal);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("http.webhook.receive", provider = "stripe");
            span.in_scope(|| {
                tracing::info!(event.id = "evt_1", "webhook received");
                tracing::debug!("below the filter");
            });
        });
        lines.text()
    }

    #[test]
    fn a_json_line_is_one_object_with_the_fields_of_event_and_span() {
        let line = written(Some(LogFormat::Json), true);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["message"], "webhook received");
        assert_eq!(object["event.id"], "evt_1");
        assert_eq!(object["span"]["name"], "http.webhook.receive");
        assert_eq!(object["span"]["provider"], "stripe");
    }

    #[test]
    fn a_terminal_gets_text_and_a_pipe_gets_json_unless_told_otherwise() {
        let cases = [
            (None, true, LogFormat::Text),
            (None, false, LogFormat::Json),
            (Some(LogFormat::Text), false, LogFormat::Text),
            (Some(LogFormat::Json), true, LogFormat::Json),
        ];
        for (configured, is_terminal, expected) in cases {
            assert_eq!(
                effective_format(configured, is_terminal),
                expected,
                "{configured:?}, terminal: {is_terminal}"
            );
        }
    }

    #[test]
    fn lines_of_the_whole_program_do_not_say_from_where_they_are() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = Lines::default();
            let subscriber = lines.subscriber("info", Some(format), false);
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(target: "tollgate", "event done");
                tracing::info!(target: "tollgate::worker", "started");
            });
            let text = lines.text();
            let (of_program, of_part) = text.trim_end().split_once('\n').unwrap();
            assert!(of_program.contains("event done"), "{of_program}");
            assert!(!of_program.contains("tollgate"), "{of_program}");
            assert!(of_part.contains("tollgate::worker"), "{of_part}");
        }
    }

    /// Returns the lines that a request leaves without spans: one of it, one that has its own id.
    async fn written_in_request(format: LogFormat, route: Option<&str>) -> Vec<String> {
        let lines = Lines::default();
        let subscriber = lines.subscriber("warn", Some(format), false);
        let request = Arc::new(RequestContext {
            id: "abc".to_owned(),
            method: "GET",
            route: route.map(Into::into),
            traceparent: None,
        });
        let serving = request.scope(async {
            tracing::warn!(code = "x", "request failed");
            tracing::warn!(request.id = "own", "event failed");
        });
        serving.with_subscriber(subscriber).await;
        lines.text().lines().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_line_of_a_request_has_its_id_whatever_the_filter() {
        for route in [Some("/v1/{id}"), None] {
            let [json, own] = &*written_in_request(LogFormat::Json, route).await else {
                panic!("two lines");
            };
            let json: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(json["message"], "request failed");
            assert_eq!(json["request.id"], "abc");
            assert_eq!(json["http.method"], "GET");
            assert_eq!(json["http.route"].as_str(), route);
            assert_eq!(own.matches("request.id").count(), 1, "{own}");
            let own: serde_json::Value = serde_json::from_str(own).unwrap();
            assert_eq!(own["request.id"], "own");

            let [text, own] = &*written_in_request(LogFormat::Text, route).await else {
                panic!("two lines");
            };
            let route = route.map_or_else(String::new, |it| format!(" http.route={it}"));
            let end = format!("request failed code=\"x\" request.id=abc http.method=GET{route}");
            assert!(text.ends_with(&end), "{text}");
            assert!(own.ends_with("event failed request.id=\"own\""), "{own}");
        }
    }

    #[test]
    fn text_has_colours_on_a_terminal_only() {
        assert!(written(Some(LogFormat::Text), true).contains('\u{1b}'));
        assert!(!written(Some(LogFormat::Text), false).contains('\u{1b}'));
    }

    #[test]
    fn what_is_below_the_filter_is_not_written() {
        assert!(!written(Some(LogFormat::Text), false).contains("below the filter"));
    }
}
