//! Instants.
//!
//! Paddle sends up to nine fraction digits, so an instant is whole nanoseconds in an `i64`:
//! anything coarser would let arrival decide between two facts of one microsecond. Provider times
//! are compared only with provider times; the name of a field tells which clock its instant came
//! from.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, valid for the years 1678 to 2261.
///
/// In stored documents it is a plain integer or, with [`rfc3339`], a text that says all of it. People
/// see RFC 3339 with milliseconds, through [`Display`](fmt::Display).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last instant, which no event has.
    pub const MAX: Self = Self(i64::MAX);

    /// The limit of what is read, 2262-04-11T23:47:16Z. What a provider dates later is kept as this.
    pub const LIMIT: Self = Self(9_223_372_036_000_000_000);

    /// Returns the instant `nanos` nanoseconds after the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Returns the instant `seconds` after the epoch, as Stripe writes it; `None` outside the
    /// range.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        seconds.checked_mul(1_000_000_000).map(Self)
    }

    /// Parses RFC 3339 with zero to nine fraction digits, as Paddle writes it; `None` if it is
    /// something else or outside the range.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text)
            .ok()?
            .timestamp_nanos_opt()
            .map(Self)
    }

    /// Parses RFC 3339 as [`parse`](Self::parse) does, and takes what lies outside the range as the
    /// nearest end of it: a provider's `9999-12-31T23:59:59Z` means "not in our lifetime".
    pub fn parse_far(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        let nanos = time.timestamp_nanos_opt();
        Some(nanos.map_or_else(|| Self::nearest(time.timestamp()), Self))
    }

    /// Returns the instant `seconds` after the epoch, or the nearest end of the range; `None` beyond
    /// the years 0 to 9999, where it is no count of seconds.
    pub fn from_far_seconds(seconds: i64) -> Option<Self> {
        const YEARS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
        let near = Self::from_seconds(seconds);
        near.or_else(|| YEARS.contains(&seconds).then(|| Self::nearest(seconds)))
    }

    const fn nearest(seconds: i64) -> Self {
        if seconds < 0 {
            Self(i64::MIN)
        } else {
            Self::LIMIT
        }
    }

    /// Returns the last instant that is shown as this one is.
    #[must_use]
    pub const fn last_shown_alike(self) -> Self {
        const MILLI: i64 = 1_000_000;
        Self(self.0.saturating_add(MILLI - 1 - self.0.rem_euclid(MILLI)))
    }

    /// Returns RFC 3339 in UTC, with as many fraction digits (none, 3, 6 or 9) as the instant needs.
    pub fn exact(self) -> String {
        DateTime::<Utc>::from_timestamp_nanos(self.0).to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }

    /// Returns the nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Adds a duration. Stays at the end of the range instead of overflowing.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// Subtracts a duration. Stays at the start of the range instead of overflowing.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}

/// A text that is no time which can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// It is not RFC 3339.
    #[error("must be a time such as 2026-01-31T09:30:00Z")]
    NotATime,
    /// It is [`Timestamp::LIMIT`] or later.
    #[error("must be before 2262-04-11T23:47:16Z, the limit of times here")]
    TooLate,
    /// It is before the first instant.
    #[error("must be after 1677-09-21T00:12:44Z, the first of times here")]
    TooEarly,
}

/// Reads a time that a person wrote.
impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let far = Self::parse_far(text).ok_or(TimeError::NotATime)?;
        match Self::parse(text) {
            Some(at) if at < Self::LIMIT => Ok(at),
            None if far < Self::LIMIT => Err(TimeError::TooEarly),
            Some(_) | None => Err(TimeError::TooLate),
        }
    }
}

/// Writes RFC 3339 in UTC with exactly three fraction digits, rounded down: texts then sort as the
/// times do, and readers that know no smaller unit take them.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = DateTime::<Utc>::from_timestamp_nanos(self.0)
            .to_rfc3339_opts(SecondsFormat::Millis, true);
        f.write_str(&text)
    }
}

/// For `#[serde(with = …)]` in documents that people may read: RFC 3339 instead of an integer, with
/// every digit, for such documents are compared and read again. Answers have them through
/// [`shown`](super::shown_times::shown).
pub mod rfc3339 {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    /// Writes the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&at.exact())
    }

    /// Reads the text.
    ///
    /// # Errors
    /// When it is not RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }

    /// The same for an optional instant, which may be `null`.
    pub mod option {
        use serde::de::Error;
        use serde::{Deserialize, Deserializer, Serializer};

        use super::Timestamp;

        /// Writes the text or `null`.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => serializer.serialize_str(&at.exact()),
                None => serializer.serialize_none(),
            }
        }

        /// Reads the text or `null`.
        ///
        /// # Errors
        /// When it is not RFC 3339.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            let read = |text: String| {
                Timestamp::parse(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
            };
            text.map(read).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_three_digits_and_sorts_as_the_instants_do() {
        let shown = [
            (i64::MIN, "1677-09-21T00:12:43.145Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (0, "1970-01-01T00:00:00.000Z"),
            (999_999, "1970-01-01T00:00:00.000Z"),
            (1_000_000, "1970-01-01T00:00:00.001Z"),
            (1_500_000_000, "1970-01-01T00:00:01.500Z"),
            (i64::MAX, "2262-04-11T23:47:16.854Z"),
        ];
        for (nanos, text) in shown {
            let at = Timestamp::from_nanos(nanos);
            assert_eq!(at.to_string(), text);
            assert_eq!(Timestamp::parse(&at.exact()), Some(at), "all of it");
        }
        assert!(shown.is_sorted_by_key(|(_, text)| *text));
        let at = Timestamp::from_nanos(1_000_001);
        assert_eq!(at.last_shown_alike(), Timestamp::from_nanos(1_999_999));
        let before = Timestamp::from_nanos(-1);
        assert_eq!(before.last_shown_alike(), before);
    }

    #[test]
    fn the_limits_of_times_are_named() {
        let read = |text: &str| text.parse::<Timestamp>();
        for (text, error) in [
            ("tomorrow", TimeError::NotATime),
            ("2026-01-31", TimeError::NotATime),
            ("2026-02-30T00:00:00Z", TimeError::NotATime),
            ("9999-12-31T23:59:59Z", TimeError::TooLate),
            ("2262-04-11T23:47:16Z", TimeError::TooLate),
            ("2262-04-12T01:47:16+02:00", TimeError::TooLate),
            ("2262-04-11T23:47:16.854775807Z", TimeError::TooLate),
            ("0001-01-01T00:00:00Z", TimeError::TooEarly),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
        assert_eq!(
            read("2262-04-11T23:47:15.999999999Z").map(|at| at.plus(Duration::from_nanos(1))),
            Ok(Timestamp::LIMIT)
        );
        assert_eq!(Timestamp::LIMIT.to_string(), "2262-04-11T23:47:16.000Z");
    }

    #[test]
    fn far_dates_of_providers_are_the_ends_of_the_range() {
        let first = Some(Timestamp::from_nanos(i64::MIN));
        let limit = Some(Timestamp::LIMIT);
        assert_eq!(Timestamp::parse_far("9999-12-31T23:59:59Z"), limit);
        assert_eq!(Timestamp::parse_far("0001-01-01T00:00:00Z"), first);
        assert_eq!(Timestamp::parse_far("soon"), None);
        assert_eq!(Timestamp::from_far_seconds(253_402_300_799), limit);
        assert_eq!(Timestamp::from_far_seconds(-62_135_596_800), first);
        // Milliseconds are no seconds.
        assert_eq!(Timestamp::from_far_seconds(1_790_000_000_000), None);
        assert_eq!(
            Timestamp::from_far_seconds(1_790_000_000),
            Timestamp::from_seconds(1_790_000_000)
        );
    }
}
