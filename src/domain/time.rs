//! Instants.
//!
//! Paddle sends up to nine fraction digits, so an instant is whole nanoseconds in an `i64`:
//! anything coarser would let arrival decide between two facts of one microsecond. Provider times
//! are compared only with provider times; the name of a field tells which clock its instant came
//! from.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, valid for the years 1678 to 2261.
///
/// In stored documents it is a plain integer; people see RFC 3339, through
/// [`Display`](fmt::Display) and [`rfc3339`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last instant, which no event has.
    pub const MAX: Self = Self(i64::MAX);

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

/// Writes RFC 3339 in UTC, with as many fraction digits (none, 3, 6 or 9) as the instant needs.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = DateTime::<Utc>::from_timestamp_nanos(self.0)
            .to_rfc3339_opts(SecondsFormat::AutoSi, true);
        f.write_str(&text)
    }
}

/// For `#[serde(with = …)]` where people read the document: RFC 3339 instead of an integer.
pub mod rfc3339 {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    /// Writes the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
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
                Some(at) => serializer.collect_str(at),
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
