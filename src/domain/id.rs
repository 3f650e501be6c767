//! Identifiers, one newtype each, so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::id_error::IdError;
use crate::domain::words::words;

/// Makes serde read and write a type by its text.
macro_rules! text_form {
    ($name:ty) => {
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
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

        text_form!($name);

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
    /// An activation of a licence: `act_` and 32 hex digits.
    ActivationId, "act_", "an activation id (`act_` and 32 hex digits)"
);
made_here!(
    /// A webhook secret of an endpoint: `whs_` and 32 hex digits. Not the secret itself.
    SecretId, "whs_", "a webhook secret id (`whs_` and 32 hex digits)"
);

made_here!(
    /// A replay of many events: `rpl_` and 32 hex digits.
    ReplayId, "rpl_", "a replay id (`rpl_` and 32 hex digits)"
);

made_here!(
    /// A comparison with what a provider says: `rcn_` and 32 hex digits.
    ReconcileId, "rcn_", "a reconcile id (`rcn_` and 32 hex digits)"
);

made_here!(
    /// A question to a provider: `rft_` and 32 hex digits.
    RefetchId, "rft_", "a refetch id (`rft_` and 32 hex digits)"
);

made_here!(
    /// A webhook of an app's own: `hook_` and 32 hex digits.
    HookId, "hook_", "a hook id (`hook_` and 32 hex digits)"
);

made_here!(
    /// A secret of a hook: `hks_` and 32 hex digits. Not the secret itself.
    HookSecretId, "hks_", "a hook secret id (`hks_` and 32 hex digits)"
);

made_here!(
    /// A change that others are told of: `chg_` and 32 hex digits.
    ChangeId, "chg_", "a change id (`chg_` and 32 hex digits)"
);

made_here!(
    /// A delivery of a change to a hook: `dlv_` and 32 hex digits.
    DeliveryId, "dlv_", "a delivery id (`dlv_` and 32 hex digits)"
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

text_form!(AppSlug);

impl fmt::Display for AppSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A provider, by the name that stands in URLs, columns, settings and keys, such as `stripe`.
///
/// A name and nothing else. Which providers there are is known where their webhooks are read, so
/// everything behind that takes facts of any.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Provider {
    /// Filled up with zeros: so it can be copied, and made at compile time.
    name: [u8; Self::LONGEST],
}

impl Provider {
    /// The longest name, in bytes.
    pub const LONGEST: usize = 16;

    /// The provider of a name that is written in the code.
    ///
    /// # Panics
    /// If the name is not 1 to 16 of `a-z` and `0-9`. In a constant that is a compile error.
    pub const fn named(name: &'static str) -> Self {
        match Self::try_named(name) {
            Some(provider) => provider,
            None => panic!("a provider's name is 1 to 16 of a-z and 0-9"),
        }
    }

    const fn try_named(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > Self::LONGEST {
            return None;
        }
        let mut name = [0; Self::LONGEST];
        let mut at = 0;
        while at < bytes.len() {
            // Neither colons nor underscores: they separate the name from what follows it.
            if !bytes[at].is_ascii_lowercase() && !bytes[at].is_ascii_digit() {
                return None;
            }
            name[at] = bytes[at];
            at += 1;
        }
        Some(Self { name })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let end = self.name.iter().position(|&byte| byte == 0);
        let name = &self.name[..end.unwrap_or(Self::LONGEST)];
        std::str::from_utf8(name).unwrap_or_default()
    }
}

impl FromStr for Provider {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wanted = "a provider's name (1 to 16 of a-z and 0-9)";
        Self::try_named(text).ok_or_else(|| IdError::new(text, wanted))
    }
}

text_form!(Provider);

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.as_str()).finish()
    }
}

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

/// A kind of object, in our words: providers use different ones for the same thing.
///
/// The reader of a payload knows it from the field that holds the id, and nobody may guess it
/// from the id: ids of some providers are plain numbers, counted for each kind on its own, and at
/// others sellers could choose them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A billing account: Stripe's and Paddle's customer.
    Account,
    /// A subscription.
    Subscription,
    /// The list of the features that an account has, under the account's id.
    FeatureList,
    /// An invoice.
    Invoice,
    /// A single payment, such as Stripe's charge.
    Charge,
    /// Stripe's payment intent, which leads to a charge over several tries.
    PaymentIntent,
    /// A checkout that leads to a payment.
    Session,
    /// A sale with its payment, where both are one object: Paddle's transaction, others' order.
    Transaction,
    /// A dispute.
    Dispute,
    /// Money that goes back.
    Refund,
    /// A change of a transaction afterwards, such as Paddle's refund or chargeback.
    Adjustment,
    /// An event, where it names no object.
    Event,
    /// A secret key of the seller's.
    ApiKey,
    /// An account of somebody else's that is connected to the seller's (Stripe Connect).
    ConnectedAccount,
    /// Where a provider's webhooks are received.
    Endpoint,
    /// Anything else.
    Other,
}

words!(Kind, or "a kind of object" {
    Account = "account",
    Subscription = "subscription",
    FeatureList = "feature_list",
    Invoice = "invoice",
    Charge = "charge",
    PaymentIntent = "payment_intent",
    Session = "session",
    Transaction = "transaction",
    Dispute = "dispute",
    Refund = "refund",
    Adjustment = "adjustment",
    Event = "event",
    ApiKey = "api_key",
    ConnectedAccount = "connected_account",
    Endpoint = "endpoint",
    Other = "other",
});

/// A provider's object: a billing account, a subscription, a dispute, a charge, a transaction.
///
/// Its text form, `account:stripe:live:acct_1:cus_9` or `subscription:paddle:test::sub_01h`, is
/// the key in the store. The kind stands first, so that statements can tell an account by how its
/// key begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey {
    /// Within what kind and id are unique.
    pub scope: Scope,
    /// The kind of object.
    pub kind: Kind,
    /// The provider's id, such as `cus_…`, `sub_…` or `2`: unique among those of its kind.
    pub id: String,
}

impl Scope {
    /// The key of an object of this scope.
    pub fn key(&self, kind: Kind, id: &str) -> ObjectKey {
        ObjectKey {
            scope: self.clone(),
            kind,
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
        let Self { kind, id, .. } = self;
        write!(f, "{kind}:{provider}:{mode}:{connected}:{id}")
    }
}

impl FromStr for ObjectKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wanted = "an object key (`kind:provider:live|test:account:id`)";
        let wrong = || IdError::new(text, wanted);
        let mut parts = text.splitn(5, ':');
        let mut next = || parts.next().ok_or_else(wrong);
        let kind = next()?.parse().map_err(|_| wrong())?;
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
            kind,
            id,
        })
    }
}

text_form!(ObjectKey);
