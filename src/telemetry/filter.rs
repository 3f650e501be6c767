//! What is written at all: what the filter of the settings wants, less what libraries say without being
//! named in it.

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterFn, ParseError, Targets};
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// The broker's client logs returned messages with their bodies. No setting can turn this on.
const BODIES: &str = "lapin::returned_messages";

/// The libraries, and from which level on they are heard unless the filter names them.
const LIBRARIES: [(&str, LevelFilter); 16] = [
    // What it calls an error comes back to us as one, and has a line of ours. It also counts as
    // errors the ends of connections that were wanted.
    ("lapin", LevelFilter::OFF),
    ("amq_protocol", LevelFilter::OFF),
    ("amq_protocol_tcp", LevelFilter::OFF),
    ("async_rs", LevelFilter::OFF),
    // A certificate that is refused is an error of whoever connected, and told there: with one hook that
    // leads to a wrong certificate there would be an error of ours at each try.
    ("rustls_platform_verifier", LevelFilter::OFF),
    ("sqlx", LevelFilter::WARN),
    ("sqlx_core", LevelFilter::WARN),
    ("sqlx_postgres", LevelFilter::WARN),
    ("sqlx_sqlite", LevelFilter::WARN),
    ("hyper", LevelFilter::WARN),
    ("hyper_util", LevelFilter::WARN),
    ("h2", LevelFilter::WARN),
    ("reqwest", LevelFilter::WARN),
    ("rustls", LevelFilter::WARN),
    ("tower", LevelFilter::WARN),
    ("tower_http", LevelFilter::WARN),
];

/// The filters of the lines. All must let a line through.
pub(super) struct Filters {
    /// The filter of the settings, if it names levels and targets alone.
    pub(super) by_target: Option<Targets>,
    /// The same, if it may name spans.
    pub(super) by_span: Option<EnvFilter>,
    /// Limits what libraries may write.
    pub(super) libraries: Targets,
    /// Lets no span begin where nobody sees one: its fields would be written for every request, and read for none.
    pub(super) without_spans: Option<FilterFn>,
}

impl Filters {
    /// Reads the filter of the settings. `are_sent` says whether a collector gets spans.
    pub(super) fn parse(filter: &str, are_sent: bool) -> Result<Self, ParseError> {
        let by_target = by_target(filter);
        let by_span = match by_target {
            Some(_) => None,
            None => Some(EnvFilter::try_new(filter)?),
        };
        let most = match &by_target {
            Some(filter) => Layer::<Registry>::max_level_hint(filter),
            None => by_span.as_ref().and_then(EnvFilter::max_level_hint),
        };
        let is_seen = are_sent || by_span.is_some();
        let no_span: fn(&Metadata<'_>) -> bool = |metadata| !metadata.is_span();
        Ok(Self {
            by_target,
            by_span,
            libraries: libraries(filter, most.unwrap_or(LevelFilter::TRACE)),
            without_spans: (!is_seen).then(|| FilterFn::new(no_span)),
        })
    }
}

/// Reads a filter that names levels and targets alone, as nearly all do; `None` for others. One that may
/// name spans looks at each as it begins, is entered and is left, which every request would pay for.
fn by_target(filter: &str) -> Option<Targets> {
    let is_plain = |part: &&str| {
        let mut letters = part.chars();
        !part.is_empty() && letters.all(|it| it.is_ascii_alphanumeric() || "_:=-".contains(it))
    };
    let parts: Vec<&str> = filter.split(',').map(str::trim).collect();
    let all_plain = parts.iter().all(is_plain);
    all_plain.then(|| parts.join(",").parse().ok()).flatten()
}

/// Limits what libraries may write, beside the filter of the settings. Nothing is let through that this
/// filter never wants (`most`): the most that any of the filters wants is the level up to which libraries
/// make what they would say, whether it is written or not.
fn libraries(filter: &str, most: LevelFilter) -> Targets {
    let names = |library: &str| {
        let mut directives = filter.split(',').map(str::trim);
        directives.any(|it| it.split(['=', ':', '[']).next() == Some(library))
    };
    let unnamed = LIBRARIES.iter().filter(|(library, _)| !names(library));
    Targets::new()
        .with_default(most.min(LevelFilter::DEBUG))
        .with_target(env!("CARGO_CRATE_NAME"), most)
        .with_targets(unnamed.map(|(library, level)| (*library, most.min(*level))))
        .with_target(BODIES, LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use crate::config::LogFormat;
    use crate::telemetry::tests::Lines;

    /// Returns what is written of some work with a filter.
    fn written(filter: &str, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let subscriber = lines.subscriber(filter, Some(LogFormat::Text), false);
        tracing::subscriber::with_default(subscriber, work);
        lines.text()
    }

    /// Returns what is written with a filter of one line for each of these targets and levels.
    fn heard(filter: &str) -> String {
        written(filter, || {
            tracing::warn!(target: "lapin::returned_messages", "a body");
            tracing::error!(target: "lapin::channel", "lapin error");
            tracing::trace!(target: "lapin::channel", "lapin frame");
            tracing::error!(target: "rustls_platform_verifier::verification", "certificate");
            tracing::warn!(target: "sqlx::query", "sqlx warning");
            tracing::debug!(target: "sqlx::query", "sqlx statement");
            tracing::debug!(target: "tollgate::worker", "our detail");
        })
    }

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        let cases: [(&str, &[&str]); 6] = [
            ("info", &["sqlx warning"]),
            ("debug", &["sqlx warning", "our detail"]),
            ("tollgate::worker=debug", &["our detail"]),
            ("error", &[]),
            (
                "debug,sqlx=debug",
                &["sqlx warning", "sqlx statement", "our detail"],
            ),
            (
                "trace,lapin=trace,lapin::returned_messages=trace",
                &["lapin error", "sqlx warning", "our detail"],
            ),
        ];
        for (filter, expected) in cases {
            // Read in the other way, since it names a span too.
            let with_span = format!("{filter},[none]=error");
            for filter in [filter, &with_span] {
                let text = heard(filter);
                let found: Vec<&str> = text
                    .lines()
                    .filter_map(|it| it.split(": ").nth(1))
                    .collect();
                assert_eq!(found, expected, "{filter}");
            }
        }
    }

    #[test]
    fn a_span_begins_only_where_somebody_sees_it() {
        for (filter, is_seen) in [
            ("info", false),
            ("debug", false),
            ("info, sqlx=debug", false),
            ("info,[it]=debug", true),
        ] {
            written(filter, || {
                let span = tracing::info_span!("it");
                assert_eq!(!span.is_disabled(), is_seen, "{filter}");
            });
        }
    }

    #[test]
    fn a_filter_may_name_a_span() {
        let text = written("info,[http.webhook.receive]=debug", || {
            let span = tracing::info_span!("http.webhook.receive");
            span.in_scope(|| tracing::debug!("within"));
            tracing::debug!("outside");
            tracing::info!("as elsewhere");
        });
        assert!(text.contains("within"), "{text}");
        assert!(text.contains("as elsewhere"), "{text}");
        assert!(!text.contains("outside"), "{text}");
    }
}
