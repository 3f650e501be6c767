//! Flags: things that a person should look at. They never change access.
//!
//! Flags are derived, so one is open exactly while its condition lasts. Clearing a flag is an admin
//! act, remembered by kind, subject and deciding instant: a duplicate of the same event does not
//! raise it again, a newer event does.

pub mod id;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::access::plan::Entitlement;
use crate::domain::event::Bodies;
use crate::domain::id::{CustomerId, HookId, ObjectKey};
use crate::domain::id_error::IdError;
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// One thing that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flag {
    /// The kind of problem.
    pub kind: FlagKind,
    /// The provider's id of its subject: a subscription, price, dispute, refund, account or event; or a
    /// hook's id.
    pub subject: String,
    /// The provider's time of the deciding fact; `None` for set-up mistakes, which no event
    /// decides. Of an event with another body, the receiver's time of that body.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::domain::time::rfc3339::option"
    )]
    pub at: Option<Timestamp>,
    /// Of [`SameIdOtherBody`](FlagKind::SameIdOtherBody), what the two bodies are; `None` for all
    /// other kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bodies: Option<Bodies>,
}

/// The kinds of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    /// The events do not tell which state came last, or which account a dispute belongs to; the
    /// state with the least access, or the smallest account, was chosen.
    Ambiguous,
    /// The newest status of a subscription is one that this version does not know.
    UnknownStatus,
    /// The newest event of a subscription lists only some of its items, or that of an account only
    /// some of its features; what the others buy is not granted.
    ItemsIncomplete,
    /// Neither a price that counts nor its product has a plan.
    UnmappedPrice,
    /// A dispute or an inquiry is open.
    OpenDispute,
    /// A dispute was lost, and the policy says to flag it.
    LostDispute,
    /// A payment service suspects fraud: the payment may be disputed soon.
    FraudWarning,
    /// A dispute or a refund would hold a subscription that was paid again since.
    PaidThoughHeld,
    /// All of a payment was given back.
    FullRefund,
    /// The period of a subscription ended, and no word came since.
    Overdue,
    /// A dispute could not be traced to a customer.
    Unlinked,
    /// A refund could not be traced to a payment.
    RefundUnlinked,
    /// An event requires a call to the provider, and no API key is set.
    ApiKeyNeeded,
    /// A secret API key of the seller was found in public.
    ApiKeyExposed,
    /// Events come from a connected account that the app does not name, and are ignored.
    UnknownConnectedAccount,
    /// A test account at an endpoint that is live, or events of the other mode than their secret's:
    /// they count for nothing.
    WrongMode,
    /// A customer is frozen whose packages have no known releases.
    ReleasesUnknown,
    /// Billing goes on for an account whose customer was deleted here.
    AccountDeleted,
    /// Another customer has the same e-mail address.
    SameEmail,
    /// Subscriptions of one billing account carry different ids of the seller's own.
    SellerIdsDiffer,
    /// An event came again with another body. What came first counts.
    SameIdOtherBody,
    /// Events of a customer's accounts failed, so what is shown of it may be out of date.
    FailedEvents,
    /// A hook was disabled because its receiver took nothing.
    HookDisabled,
}

words!(FlagKind, or "a kind of flags" {
    Ambiguous = "ambiguous",
    UnknownStatus = "unknown_status",
    ItemsIncomplete = "items_incomplete",
    UnmappedPrice = "unmapped_price",
    OpenDispute = "open_dispute",
    LostDispute = "lost_dispute",
    FraudWarning = "fraud_warning",
    PaidThoughHeld = "paid_though_held",
    FullRefund = "full_refund",
    Overdue = "overdue",
    Unlinked = "unlinked",
    RefundUnlinked = "refund_unlinked",
    ApiKeyNeeded = "api_key_needed",
    ApiKeyExposed = "api_key_exposed",
    UnknownConnectedAccount = "unknown_connected_account",
    WrongMode = "wrong_mode",
    ReleasesUnknown = "releases_unknown",
    AccountDeleted = "account_deleted",
    SameEmail = "same_email",
    SellerIdsDiffer = "seller_ids_differ",
    SameIdOtherBody = "same_id_other_body",
    FailedEvents = "failed_events",
    HookDisabled = "hook_disabled",
});

impl FlagKind {
    /// True for what is derived on reading: set-up mistakes, which a new plan or release mends for
    /// everybody at once, and failed events, which are the ledger's.
    pub const fn is_of_set_up(self) -> bool {
        match self {
            Self::UnmappedPrice | Self::ReleasesUnknown | Self::FailedEvents => true,
            Self::Ambiguous
            | Self::UnknownStatus
            | Self::ItemsIncomplete
            | Self::OpenDispute
            | Self::LostDispute
            | Self::FraudWarning
            | Self::PaidThoughHeld
            | Self::FullRefund
            | Self::Overdue
            | Self::Unlinked
            | Self::RefundUnlinked
            | Self::ApiKeyNeeded
            | Self::ApiKeyExposed
            | Self::UnknownConnectedAccount
            | Self::WrongMode
            | Self::AccountDeleted
            | Self::SameEmail
            | Self::SameIdOtherBody
            | Self::SellerIdsDiffer
            | Self::HookDisabled => false,
        }
    }
}

impl Flag {
    /// Makes a flag that a fact decides.
    pub fn new(kind: FlagKind, subject: &str, at: Timestamp) -> Self {
        Self {
            kind,
            subject: subject.to_owned(),
            at: Some(at),
            bodies: None,
        }
    }
}

/// The owner of a flag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlagHolder {
    /// A customer, by its shown row.
    Customer(CustomerId),
    /// A provider's object for which no customer was found.
    Object(ObjectKey),
    /// A hook.
    Hook(HookId),
}

impl FlagHolder {
    /// Returns the customer, if the owner is one.
    pub const fn customer(&self) -> Option<&CustomerId> {
        match self {
            Self::Customer(id) => Some(id),
            Self::Object(_) | Self::Hook(_) => None,
        }
    }
}

impl fmt::Display for FlagHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customer(id) => id.fmt(f),
            Self::Object(key) => key.fmt(f),
            Self::Hook(id) => id.fmt(f),
        }
    }
}

impl FromStr for FlagHolder {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let customer = text.parse().map(Self::Customer);
        let hook = customer.or_else(|_| text.parse().map(Self::Hook));
        hook.or_else(|_| text.parse().map(Self::Object))
    }
}

/// A flag and its owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldFlag {
    /// The owner.
    pub holder: FlagHolder,
    /// The flag itself.
    pub flag: Flag,
}

impl HeldFlag {
    /// Makes the flag of a hook that was disabled because of how its deliveries went.
    pub fn of_hook(hook: &HookId, at: Timestamp) -> Self {
        Self {
            flag: Flag::new(FlagKind::HookDisabled, &hook.to_string(), at),
            holder: FlagHolder::Hook(hook.clone()),
        }
    }

    /// Returns its place in the list of all flags of an app: the newest deciding instant sorts
    /// last, flags that no event decides first. The place contains what tells the flag from all
    /// others, so the same flag always has the same place. Statements build the places of set-up
    /// flags themselves, after [`SET_UP_PLACE`].
    pub fn place(&self) -> String {
        let Flag {
            kind, subject, at, ..
        } = &self.flag;
        let at = at.map_or(0, |at| at.nanos().cast_unsigned() ^ (1 << 63));
        format!("{at:016x}:{}:{}:{subject}", kind.as_str(), self.holder)
    }
}

/// The prefix of the places of all set-up flags, which no event decides.
pub const SET_UP_PLACE: &str = "0000000000000000:";

/// Returns the flags for prices without a plan.
pub fn unmapped(entitlements: &BTreeSet<Entitlement>) -> BTreeSet<Flag> {
    entitlements
        .iter()
        .filter(|entitlement| entitlement.plan.is_none())
        .map(|entitlement| Flag {
            kind: FlagKind::UnmappedPrice,
            subject: entitlement.price_name(),
            at: None,
            bodies: None,
        })
        .collect()
}

/// A flag as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptFlag {
    /// The flag itself.
    pub flag: Flag,
    /// True if an admin cleared it. Only stored for set-up flags, which are derived on reading, and
    /// left out then.
    pub cleared: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holder: &str, kind: FlagKind, subject: &str, at: Option<i64>) -> HeldFlag {
        HeldFlag {
            holder: holder.parse().unwrap(),
            flag: Flag {
                kind,
                subject: subject.to_owned(),
                at: at.map(Timestamp::from_nanos),
                bodies: None,
            },
        }
    }

    const CUSTOMER: &str = "cust_0123456789abcdef0123456789abcdef";

    #[test]
    fn places_sort_by_instant_and_those_without_come_first() {
        let at = |at| held(CUSTOMER, FlagKind::FullRefund, "ch_1", at).place();
        let places = [None, Some(-5), Some(0), Some(7), Some(i64::MAX)].map(at);
        assert!(places.is_sorted(), "{places:?}");
        assert!(places[0].starts_with(SET_UP_PLACE));
    }

    #[test]
    fn no_two_flags_share_a_place() {
        let flags = [
            held(CUSTOMER, FlagKind::Ambiguous, "dp_1", Some(1)),
            held(CUSTOMER, FlagKind::OpenDispute, "dp_1", Some(1)),
            held(CUSTOMER, FlagKind::OpenDispute, "dp_2", Some(1)),
            held(CUSTOMER, FlagKind::OpenDispute, "dp_2", Some(2)),
            held(
                "dispute:stripe:live::dp_2",
                FlagKind::OpenDispute,
                "dp_2",
                Some(2),
            ),
            held(
                "dispute:stripe:test::dp_2",
                FlagKind::OpenDispute,
                "dp_2",
                Some(2),
            ),
        ];
        let places: BTreeSet<String> = flags.iter().map(HeldFlag::place).collect();
        assert_eq!(places.len(), flags.len());
    }
}
