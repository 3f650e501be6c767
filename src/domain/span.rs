//! Lengths of time as people write them: in policies, plans, settings and requests.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// A length of time in whole seconds, written `30s`, `15m`, `36h` or `14d`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    seconds: u64,
}

/// A text that is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time: a whole number and one of s, m, h, d")]
pub struct SpanError(String);

/// Units from the largest to the smallest, with their seconds.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// The longest span: longer than anything sensible, and short enough that no sum leaves the range
/// of [`Timestamp`]. A hundred years.
const LONGEST: u64 = 36_525 * 86_400;

impl Span {
    /// Makes a span of this many days of 24 hours.
    pub const fn days(days: u32) -> Self {
        Self {
            seconds: days as u64 * 86_400,
        }
    }

    /// Makes a span of this many hours.
    pub const fn hours(hours: u32) -> Self {
        Self {
            seconds: hours as u64 * 3_600,
        }
    }

    /// Returns its length.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// True for a span of zero.
    pub const fn is_zero(self) -> bool {
        self.seconds == 0
    }

    /// Returns the instant this long after `start`.
    pub fn after(self, start: Timestamp) -> Timestamp {
        start.plus(Duration::from_secs(self.seconds))
    }

    /// Reports whether this much time has passed since `start`. A span of zero has always passed:
    /// `start` is a provider's time and may be ahead of the local clock.
    pub fn has_passed(self, start: Timestamp, now: Timestamp) -> bool {
        self.is_zero() || self.after(start) <= now
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0d");
        }
        let largest = UNITS
            .iter()
            .find(|(_, size)| self.seconds.is_multiple_of(*size));
        let (unit, size) = largest.copied().unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.seconds / size)
    }
}

impl FromStr for Span {
    type Err = SpanError;
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError(text.chars().take(40).collect());
        let unit = text.chars().last().ok_or_else(wrong)?;
        let (_, size) = UNITS.iter().find(|(u, _)| *u == unit).ok_or_else(wrong)?;
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let seconds = count.checked_mul(*size).filter(|s| *s <= LONGEST);
        Ok(Self {
            seconds: seconds.ok_or_else(wrong)?,
        })
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;
    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_in_the_largest_unit_that_fits() {
        let cases = [
            ("0d", Some("0d")),
            ("0s", Some("0d")),
            ("14d", Some("14d")),
            ("48h", Some("2d")),
            ("36h", Some("36h")),
            ("90m", Some("90m")),
            ("120s", Some("2m")),
            ("", None),
            ("d", None),
            ("14", None),
            ("-1d", None),
            ("+1d", None),
            ("1.5d", None),
            ("1w", None),
            ("1é", None),
            ("99999999999999999999d", None),
            ("40000d", None),
        ];
        for (text, wanted) in cases {
            let got = text.parse::<Span>().ok().map(|span| span.to_string());
            assert_eq!(got.as_deref(), wanted, "{text}");
        }
    }
}
