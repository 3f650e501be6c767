//! Logs: their format, their words, and what must never be in them.
//!
//! Lines go to standard error, because standard output is for what a command prints. Text is for a
//! person at a terminal, JSON for log collectors; without a setting the terminal decides.
//!
//! # Words
//!
//! A span is named `area.noun.verb`:
//!
//! | span | covers |
//! | --- | --- |
//! | `http.request.serve` | one request, whatever it asks for |
//! | `http.webhook.receive` | one webhook, from its bytes to the answer |
//!
//! The worker opens none: it works on batches, and each of its lines names its own event.
//!
//! A field has the same name in every span and line:
//!
//! | field | holds |
//! | --- | --- |
//! | `app` | the slug of the app |
//! | `provider` | `stripe` or `paddle` |
//! | `event.id`, `event.type` | as the provider has them |
//! | `customer.id` | our id, `cust_…` |
//! | `request.id` | as in the answer's header and in a problem body |
//! | `attempt` | 1 for the first try |
//! | `outcome` | of an event: `applied`, `unchanged`, `superseded`, … |
//! | `error.code` | the stable code that the caller saw too |
//! | `error` | a cause with its sources, once, where it is handled |
//!
//! A message can be understood without its fields. `error` means that somebody must act, `warn`
//! that somebody may want to know; `info` is for what happens a few times a day or once per event.
//!
//! # Never logged
//!
//! Bodies of webhooks and requests, signatures and their headers, tokens, webhook secrets, keys,
//! addresses of databases and brokers (they contain passwords), e-mail addresses, names and postal
//! addresses. Whoever may see these finds them by id.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogConfig, LogFormat};

/// Logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse. Cannot happen with loaded settings, which are checked.
    #[error("log filter")]
    Filter(#[from] ParseError),
    /// Something else in this process logs already.
    #[error("start logging")]
    Started(#[from] TryInitError),
}

/// The broker's client library logs returned messages with their bodies. This directive comes after
/// the filter of the settings, so that no setting can turn it on.
const NO_BODIES: &str = "lapin::returned_messages=off";

/// Starts logging to standard error, for the rest of the process. May be called only once.
///
/// # Errors
///
/// When the filter does not parse, and when logging has started before.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    subscriber(config, io::stderr().is_terminal(), io::stderr)?.try_init()?;
    Ok(())
}

/// Builds the subscriber that writes events as lines to `writer`.
fn subscriber<W>(
    config: &LogConfig,
    is_terminal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter)?.add_directive(NO_BODIES.parse()?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    Ok(match effective_format(config.format, is_terminal) {
        // Colours are escape sequences, which do not belong into a file or a pipe.
        LogFormat::Text => Box::new(registry.with(lines.with_ansi(is_terminal))),
        // The fields of the event go to the top level, where a query finds them.
        LogFormat::Json => Box::new(registry.with(lines.json().flatten_event(true))),
    })
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

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

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
        let config = LogConfig {
            filter: "info".to_owned(),
            format,
        };
        let writer = lines.clone();
        let subscriber = subscriber(&config, is_terminal, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("http.webhook.receive", provider = "stripe");
            span.in_scope(|| {
                tracing::info!(event.id = "evt_1", "webhook received");
                tracing::debug!("below the filter");
            });
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
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
    fn text_has_colours_on_a_terminal_only() {
        assert!(written(Some(LogFormat::Text), true).contains('\u{1b}'));
        assert!(!written(Some(LogFormat::Text), false).contains('\u{1b}'));
    }

    #[test]
    fn no_filter_lets_the_brokers_client_write_messages() {
        let lines = Lines::default();
        let config = LogConfig {
            filter: "trace,lapin::returned_messages=trace".to_owned(),
            format: None,
        };
        let writer = lines.clone();
        let subscriber = subscriber(&config, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "lapin::returned_messages", "a body");
            tracing::warn!(target: "lapin::channel", "something else");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(
            !text.contains("a body") && text.contains("something else"),
            "{text}"
        );
    }

    #[test]
    fn what_is_below_the_filter_is_not_written() {
        assert!(!written(Some(LogFormat::Text), false).contains("below the filter"));
    }
}
