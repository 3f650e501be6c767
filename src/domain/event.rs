//! Events in the ledger: one verified webhook each, from receipt to outcome.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::id::{AppSlug, Provider};
use crate::domain::id_error::IdError;
use crate::domain::words::words;

/// The identity of an event. The event of one key changes the store at most once, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// The app whose endpoint received it.
    pub app: AppSlug,
    /// The provider that sent it.
    pub provider: Provider,
    /// The provider's event id.
    pub id: String,
}

/// The result of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventOutcome {
    /// A try failed in a way that may pass; it will be tried again.
    Pending,
    /// It changed a customer or a subscription.
    Applied,
    /// It contained nothing new.
    Unchanged,
    /// It was older than what is already known.
    Superseded,
    /// Events of its type, or of its kind, change nothing.
    Ignored,
    /// It cannot be processed, or its tries are used up.
    Failed,
}

words!(EventOutcome, or "an outcome (pending, applied, unchanged, superseded, ignored or failed)" {
    Pending = "pending",
    Applied = "applied",
    Unchanged = "unchanged",
    Superseded = "superseded",
    Ignored = "ignored",
    Failed = "failed",
});

impl EventOutcome {
    /// True if the event has had its effect, so that another delivery of it is a duplicate.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Applied | Self::Unchanged | Self::Superseded | Self::Ignored => true,
            Self::Pending | Self::Failed => false,
        }
    }
}

/// The reason why an event failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventError {
    /// A stable word, such as `payload_field_missing`.
    pub code: String,
    /// A sentence for people, without the payload's contents. At most [`MAX_DETAIL`].
    pub detail: String,
}

/// Maximum number of bytes of the detail of an error: it travels in a header of each retry and stays
/// in the ledger, and a database says a lot in one error.
pub const MAX_DETAIL: usize = 2_000;

impl EventError {
    /// Makes an error, with the beginning of a long detail.
    pub fn new(code: &str, mut detail: String) -> Self {
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
        Self {
            code: code.to_owned(),
            detail,
        }
    }
}

/// The digest of a body, over what two deliveries of one event have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyDigest {
    /// SHA-256 in hex.
    pub sha256: String,
    /// The version of the provider's API that the body is written in, where bodies say so.
    pub version: Option<String>,
}

impl BodyDigest {
    /// Returns both digests if another delivery of the event says something else. Bodies of two API
    /// versions say the same in other words, so they are not compared.
    pub fn against(&self, other: &Self) -> Option<Bodies> {
        let differs = self.version == other.version && self.sha256 != other.sha256;
        differs.then(|| Bodies {
            first: self.sha256.clone(),
            other: other.sha256.clone(),
        })
    }
}

impl fmt::Display for BodyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sha256)?;
        match &self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

impl FromStr for BodyDigest {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (sha256, version) = match text.split_once('@') {
            Some((sha256, version)) => (sha256, Some(version.to_owned())),
            None => (text, None),
        };
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if sha256.len() != 64 || !sha256.bytes().all(is_hex) {
            return Err(IdError::new(text, "a digest (64 hex digits)"));
        }
        Ok(Self {
            sha256: sha256.to_owned(),
            version,
        })
    }
}

/// The digests of two different bodies of one event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bodies {
    /// SHA-256, in hex, of the body that came first.
    pub first: String,
    /// The same of the body that came later.
    pub other: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_compared_within_one_version_and_survive_a_round_trip() {
        let digest = |digit: &str, version: Option<&str>| BodyDigest {
            sha256: digit.repeat(64),
            version: version.map(str::to_owned),
        };
        let old = Some("2020-08-27");
        for (first, other, differ) in [
            (digest("a", None), digest("a", None), false),
            (digest("a", None), digest("b", None), true),
            (digest("a", old), digest("b", old), true),
            (digest("a", old), digest("b", Some("2026-01-01")), false),
            (digest("a", old), digest("b", None), false),
        ] {
            assert_eq!(first.against(&other).is_some(), differ, "{first} {other}");
            for digest in [first, other] {
                assert_eq!(digest.to_string().parse(), Ok(digest));
            }
        }
        for text in ["", "abc", "@2020-08-27", &"g".repeat(64)] {
            assert!(text.parse::<BodyDigest>().is_err(), "{text}");
        }
    }
}
