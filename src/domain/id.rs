//! Identifiers, one newtype each, so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::words::words;

/// An identifier whose text is not of the wanted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct IdError {
    text: String,
    wanted: &'static str,
}

impl IdError {
    pub(super) fn new(text: &str, wanted: &'static str) -> Self {
        Self {
            text: text.chars().take(80).collect(),
            wanted,
        }
    }
}

/// Ids made here: a prefix and a UUID of version 7 in hex, so that they sort by the time of
/// their making.
macro_rules! made_here {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id for a fresh UUID of version 7.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(format!("{}{}", $prefix, uuid.simple()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let hex = text.strip_prefix($prefix).unwrap_or_default();
                let good = hex.len() == 32
                    && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if good { Ok(Self(text.to_owned())) } else { Err(IdError::new(text, $wanted)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

made_here!(
    /// A customer: `cust_` and 32 hex digits.
    CustomerId, "cust_", "a customer id (`cust_` and 32 hex digits)"
);
made_here!(
    /// An access token of a customer: `ctok_` and 32 hex digits. Not the secret itself.
    TokenId, "ctok_", "a token id (`ctok_` and 32 hex digits)"
);
made_here!(
    /// An admin token: `atok_` and 32 hex digits. Not the secret itself.
    AdminTokenId, "atok_", "an admin token id (`atok_` and 32 hex digits)"
);
made_here!(
    /// A licence: `lic_` and 32 hex digits. Not its key.
    LicenseId, "lic_", "a licence id (`lic_` and 32 hex digits)"
);
made_here!(
    /// A webhook secret of an endpoint: `whs_` and 32 hex digits. Not the secret itself.
    SecretId, "whs_", "a webhook secret id (`whs_` and 32 hex digits)"
);

made_here!(
    /// A replay of many events: `rpl_` and 32 hex digits.
    ReplayId, "rpl_", "a replay id (`rpl_` and 32 hex digits)"
);

/// The name of an app (a tenant) in URLs: 1 to 63 of `a-z`, `0-9` and `-`, beginning and ending
/// with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppSlug(String);

impl AppSlug {
    /// The app that always exists.
    pub fn default_app() -> Self {
        Self("default".to_owned())
    }

    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppSlug {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let good = (1..=63).contains(&bytes.len())
            && bytes.iter().all(|&b| edge(b) || b == b'-')
            && bytes.first().copied().is_some_and(edge)
            && bytes.last().copied().is_some_and(edge);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new(
                text,
                "an app slug (1 to 63 of a-z, 0-9 and inner `-`)",
            ))
        }
    }
}

impl TryFrom<String> for AppSlug {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<AppSlug> for String {
    fn from(slug: AppSlug) -> Self {
        slug.0
    }
}

impl fmt::Display for AppSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Stripe Billing.
    Stripe,
    /// Paddle Billing (not Paddle Classic).
    Paddle,
}

words!(Provider, or "a provider (`stripe` or `paddle`)" {
    Stripe = "stripe",
    Paddle = "paddle",
});

/// Within what a provider's object ids are unique.
///
/// Stripe's ids are unique only within a connected account, and live and test data never meet.
/// Paddle's payloads do not say whether they are live; the endpoint's secret does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Whose objects.
    pub provider: Provider,
    /// Live, not test or sandbox.
    pub livemode: bool,
    /// Stripe Connect's account (`acct_…`), if the event was one of a connected account.
    pub connected: Option<String>,
}

/// A provider's object: a billing account, a subscription, a dispute, a charge, a transaction.
///
/// Its text form, `stripe:live:acct_1:cus_9` or `paddle:test::sub_01h`, is the key in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey {
    /// Within what the id is unique.
    pub scope: Scope,
    /// The provider's id, such as `cus_…`, `ctm_…`, `sub_…`.
    pub id: String,
}

impl Scope {
    /// The key of an object of this scope.
    pub fn key(&self, id: &str) -> ObjectKey {
        ObjectKey {
            scope: self.clone(),
            id: id.to_owned(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope {
            provider,
            livemode,
            connected,
        } = &self.scope;
        let mode = if *livemode { "live" } else { "test" };
        let connected = connected.as_deref().unwrap_or_default();
        write!(f, "{provider}:{mode}:{connected}:{}", self.id)
    }
}

impl FromStr for ObjectKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::new(text, "an object key (`provider:live|test:account:id`)");
        let mut parts = text.splitn(4, ':');
        let mut next = || parts.next().ok_or_else(wrong);
        let provider = next()?.parse().map_err(|_| wrong())?;
        let livemode = match next()? {
            "live" => true,
            "test" => false,
            _ => return Err(wrong()),
        };
        let connected = Some(next()?.to_owned()).filter(|account| !account.is_empty());
        let id = next()?.to_owned();
        Ok(Self {
            scope: Scope {
                provider,
                livemode,
                connected,
            },
            id,
        })
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.to_string()
    }
}
