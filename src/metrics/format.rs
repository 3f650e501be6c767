//! The two text formats, and which one a caller reads.

use std::fmt;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, which has units. Only for those who ask for it, as Prometheus does: other
    /// tools (`promtool check metrics`, curl, most agents) read the older format.
    OpenMetrics,
    /// Prometheus's own text format, 0.0.4.
    Prometheus,
}

impl Format {
    /// Chooses by the `Accept` header of a request.
    pub fn accepted(accept: Option<&str>) -> Self {
        let mut ranges = accept.unwrap_or_default().split(',');
        let asks = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            // A weight of 0 means "not this one" (RFC 9110 section 12.4.2).
            let is_refused = parts.any(|part| {
                let weight = part.strip_prefix("q=").map(str::parse::<f32>);
                weight.is_some_and(|weight| weight.is_ok_and(|weight| weight <= 0.0))
            });
            media.eq_ignore_ascii_case("application/openmetrics-text") && !is_refused
        };
        if ranges.any(asks) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Returns the content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }

    /// Writes several registries as one document.
    pub(super) fn write(self, registries: &[&Registry]) -> Result<String, fmt::Error> {
        let mut document = String::new();
        for registry in registries {
            match self {
                Self::OpenMetrics => text::encode_registry(&mut document, registry)?,
                Self::Prometheus => prometheus_text::encode(&mut document, registry)?,
            }
        }
        if self == Self::OpenMetrics {
            text::encode_eof(&mut document)?;
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            (None, Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (Some("text/plain"), Format::Prometheus),
            (Some(prometheus), Format::OpenMetrics),
            (
                Some("text/plain, Application/OpenMetrics-Text"),
                Format::OpenMetrics,
            ),
            (
                Some("application/openmetrics-text; q=0, */*"),
                Format::Prometheus,
            ),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept:?}");
        }
    }
}
