//! Flags: what a person should look at. They change no access.
//!
//! Flags are derived and so open exactly while the state is so. Clearing one is an admin act,
//! remembered by kind, subject and deciding instant: a duplicate of the same event does not
//! bring it back, a newer event does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::customer::Entitlement;
use super::plan::{Plans, grants};
use super::time::Timestamp;

/// One thing to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flag {
    /// What it is about.
    pub kind: FlagKind,
    /// The provider's id of what it is about: a subscription, price, dispute, refund or account.
    pub subject: String,
    /// Provider time of the fact that decided it; `None` for mistakes of set-up, which no event
    /// decides.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "super::time::rfc3339::option"
    )]
    pub at: Option<Timestamp>,
}

/// Kinds of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    /// The events do not say which state came last, or which account a dispute belongs to; the
    /// one with least access, or the smallest, was taken.
    Ambiguous,
    /// The newest status of a subscription is one that this version does not know.
    UnknownStatus,
    /// The newest event of a subscription lists some of its items only; what the others buy is
    /// not granted.
    ItemsIncomplete,
    /// A price that counts has no plan, nor has its product.
    UnmappedPrice,
    /// A dispute or an inquiry is open.
    OpenDispute,
    /// All of a payment was given back.
    FullRefund,
    /// A dispute or refund could not be traced to a customer.
    Unlinked,
    /// An event needs a call to the provider, and no key is set.
    ApiKeyNeeded,
    /// A frozen customer whose packages have no known releases.
    ReleasesUnknown,
    /// Billing goes on for an account whose customer was deleted here.
    AccountDeleted,
}

impl FlagKind {
    /// The name in the API and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous",
            Self::UnknownStatus => "unknown_status",
            Self::ItemsIncomplete => "items_incomplete",
            Self::UnmappedPrice => "unmapped_price",
            Self::OpenDispute => "open_dispute",
            Self::FullRefund => "full_refund",
            Self::Unlinked => "unlinked",
            Self::ApiKeyNeeded => "api_key_needed",
            Self::ReleasesUnknown => "releases_unknown",
            Self::AccountDeleted => "account_deleted",
        }
    }
}

impl Flag {
    /// A flag decided by a fact.
    pub fn new(kind: FlagKind, subject: &str, at: Timestamp) -> Self {
        Self {
            kind,
            subject: subject.to_owned(),
            at: Some(at),
        }
    }
}

/// The flags for prices that count and have no plan. Apart from the derivation, so that a new
/// plan counts at once without deriving anybody anew.
pub fn unmapped(entitlements: &BTreeSet<Entitlement>, plans: &Plans) -> BTreeSet<Flag> {
    let missing = |entitlement: &&Entitlement| grants(plans, entitlement).is_none();
    entitlements
        .iter()
        .filter(missing)
        .map(|entitlement| Flag {
            kind: FlagKind::UnmappedPrice,
            subject: entitlement.price.clone(),
            at: None,
        })
        .collect()
}
