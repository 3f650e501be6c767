//! Customers: the rows, what admins gave them, and what is shown of them.
//!
//! A row is what an admin sees under one id. Usually a customer is one row. When accounts that
//! had rows of their own turn out to be one customer, one row is shown and the others point to
//! it; rows are never destroyed by that, because late facts may part them again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::access::plan::Entitlement;
use crate::domain::access::plan::Plans;
use crate::domain::billing::assessment::Verdict;
use crate::domain::billing::fact::{Address, Contact};
use crate::domain::customer::flag::{Flag, unmapped};
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Made here.
    pub id: CustomerId,
    /// The billing account that it was made for; `None` if an admin made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<ObjectKey>,
    /// Local clock. Rows are ordered by this, then by id.
    pub made_at: Timestamp,
    /// Local clock.
    pub updated_at: Timestamp,
    /// Local clock; set by soft deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// What an admin set.
    #[serde(default)]
    pub profile: Profile,
    /// The last hold that an admin set and did not lift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<AdminHold>,
    /// An admin's reactivation against the word of billing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub courtesy: Option<Courtesy>,
    /// Disputes and refunds that no longer hold this customer, by an admin's word.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub waivers: BTreeSet<ObjectKey>,
    /// Flags that an admin cleared.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cleared: BTreeSet<Flag>,
    /// Derived: the row that is shown instead of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<CustomerId>,
    /// Derived: what is shown. Never input of a derivation. A merged row has a copy of what the
    /// row shown instead has.
    #[serde(default)]
    pub derived: Derived,
    /// Local clock of the last change of the status.
    pub status_since: Timestamp,
}

impl Customer {
    /// A row that nothing is known of yet.
    pub fn new(id: CustomerId, home: Option<ObjectKey>, now: Timestamp) -> Self {
        Self {
            id,
            home,
            made_at: now,
            updated_at: now,
            deleted_at: None,
            profile: Profile::default(),
            hold: None,
            courtesy: None,
            waivers: BTreeSet::new(),
            cleared: BTreeSet::new(),
            merged_into: None,
            derived: Derived::default(),
            status_since: now,
        }
    }

    /// All open flags: the derived ones, and those for prices without a plan.
    pub fn flags(&self, plans: &Plans) -> BTreeSet<Flag> {
        let mut flags = unmapped(&self.derived.entitlements, plans);
        flags.retain(|flag| !self.cleared.contains(flag));
        flags.extend(self.derived.flags.iter().cloned());
        flags
    }

    /// An admin made it, not a webhook.
    pub const fn is_admin_made(&self) -> bool {
        self.home.is_none()
    }
}

/// What an admin set. An empty field shows what billing says, where it says something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// E-mail address as the admin wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Name of a person or company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Telephone number, in any form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Postal address; replaces billing's as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Tax number, in any form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
    /// The admin's own id of the customer; `stripe_cus_…` and the like link a billing account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The admin's id of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Anything that the admin wants kept; not read here.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// A hold set by an admin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AdminHold {
    /// No access until an admin lifts it.
    Suspended {
        /// Local clock.
        since: Timestamp,
        /// The admin's words.
        reason: Option<String>,
    },
    /// Access to fixed versions.
    Frozen {
        /// Local clock.
        since: Timestamp,
        /// What was released until then is reachable.
        at: Timestamp,
        /// Exactly these instead, where given.
        versions: Option<Vec<PackageVersion>>,
    },
    /// No access until an admin lifts it.
    Expired {
        /// Local clock.
        since: Timestamp,
        /// The admin's words.
        reason: Option<String>,
    },
}

words!(&AdminHold {
    Suspended = "suspended",
    Frozen = "frozen",
    Expired = "expired",
});

impl AdminHold {
    /// When the admin set it, by the local clock.
    pub const fn since(&self) -> Timestamp {
        match self {
            Self::Suspended { since, .. }
            | Self::Frozen { since, .. }
            | Self::Expired { since, .. } => *since,
        }
    }
}

/// A version of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PackageVersion {
    /// `vendor/name`.
    pub package: String,
    /// As Composer writes it.
    pub version: String,
}

/// An admin's reactivation of a customer whom billing does not find good.
///
/// It holds while the verdict is the same and no good moment is newer than `newest`. "Until the
/// verdict changes" is not read off the path: late facts make verdicts come and go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Courtesy {
    /// What billing said.
    pub verdict: Verdict,
    /// Provider time: the newest instant then known of the customer's subscriptions.
    pub newest: Timestamp,
    /// Local clock.
    pub since: Timestamp,
}

/// What is shown of a customer. All of it is derived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Derived {
    /// Whether there is access.
    pub status: Status,
    /// Why, in a word of ours (`payment_failed`, `subscription_ended`, …) or in the admin's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How to reach the customer: per field the admin's word, else billing's.
    pub contact: Contact,
    /// The admin's, else provider and id of the first account: `stripe_cus_1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Everything that holds the customer now.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub holds: BTreeSet<Hold>,
    /// What a person should look at; without unmapped prices, which
    /// [`Customer::flags`] adds.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub flags: BTreeSet<Flag>,
    /// For a frozen customer: what was released until then is reachable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_at: Option<Timestamp>,
    /// For a customer frozen by an admin: exactly these versions, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_versions: Option<Vec<PackageVersion>>,
    /// The prices that count now.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub entitlements: BTreeSet<Entitlement>,
    /// When the derivation will end differently without any new event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// What billing says; `None` where no subscription counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Provider time: when the failure of the customer's failing subscriptions began, earliest
    /// first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Provider time: when the last of the ended subscriptions ended, if all have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// An admin's reactivation holds against the word of billing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub courtesy: bool,
}

impl Derived {
    /// Frozen to what was released by then, not to a list of versions: what can be reached
    /// depends on the known releases.
    pub const fn is_frozen_by_time(&self) -> bool {
        matches!(self.status, Status::Frozen { .. }) && self.frozen_versions.is_none()
    }
}

/// A customer's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Status {
    /// Access to what is granted.
    #[default]
    Active,
    /// Access to what was released until then.
    Frozen {
        /// Until when: provider time if billing froze, else as the admin said.
        #[serde(with = "crate::domain::time::rfc3339")]
        at: Timestamp,
    },
    /// No access for now.
    Suspended,
    /// No access.
    Expired,
}

words!(Status {
    Active = "active",
    Suspended = "suspended",
    Frozen = "frozen",
    Expired = "expired",
});

/// Why a customer is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// No subscription is good.
    Billing,
    /// An admin's word.
    Manual,
    /// A dispute.
    Dispute,
    /// A full refund.
    Refund,
}

words!(Hold, all {
    Billing = "billing",
    Manual = "manual",
    Dispute = "dispute",
    Refund = "refund",
});
