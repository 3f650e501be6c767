//! The rows of customers: what admins set, and what is derived.
//!
//! A row is what an admin sees under one id. Usually a customer is one row. When accounts with rows
//! of their own turn out to be one customer, one row is shown and the others point to it. Rows are
//! never destroyed by that, because late facts may separate them again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::access::plan::Entitlement;
use crate::domain::billing::assessment::Verdict;
use crate::domain::billing::fact::{Address, Contact};
use crate::domain::customer::flag::{Flag, unmapped};
use crate::domain::customer::other_body::OtherBodies;
use crate::domain::email::fold_email;
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::precondition::StateTag;
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The id, which is generated here.
    pub id: CustomerId,
    /// The billing account that the row was created for; `None` if an admin created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<ObjectKey>,
    /// Admin act: the account that a row of an admin goes along with. It was this account's customer
    /// when the account was linked to another one by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<ObjectKey>,
    /// The time of creation, by the local clock. Rows are sorted by it, then by id.
    pub made_at: Timestamp,
    /// The time of the last change, by the local clock.
    pub updated_at: Timestamp,
    /// The time of soft deletion, by the local clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// The profile that an admin set.
    #[serde(default)]
    pub profile: Profile,
    /// The last hold that an admin set and did not lift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<AdminHold>,
    /// An admin's reactivation against the verdict of billing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub courtesy: Option<Courtesy>,
    /// Disputes and refunds that an admin waived, so that they no longer hold this customer.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub waivers: BTreeSet<ObjectKey>,
    /// Flags that an admin cleared.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cleared: BTreeSet<Flag>,
    /// Its events that came again with another body, by their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other_bodies: BTreeMap<String, OtherBodies>,
    /// Derived: the row that is shown instead of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<CustomerId>,
    /// Derived: nobody sees this row, because none of the facts that made it count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Derived: the state that is shown. Never an input of the derivation. A merged row has a copy
    /// of that of the shown row.
    #[serde(default)]
    pub derived: Derived,
    /// The time of the last change of the status, by the local clock.
    pub status_since: Timestamp,
}

impl Customer {
    /// Creates an empty row.
    pub fn new(id: CustomerId, home: Option<ObjectKey>, now: Timestamp) -> Self {
        Self {
            id,
            home,
            bound_to: None,
            made_at: now,
            updated_at: now,
            deleted_at: None,
            profile: Profile::default(),
            hold: None,
            courtesy: None,
            waivers: BTreeSet::new(),
            cleared: BTreeSet::new(),
            other_bodies: BTreeMap::new(),
            merged_into: None,
            hidden: false,
            derived: Derived::default(),
            status_since: now,
        }
    }

    /// Returns all open flags: the derived ones, and those for prices without a plan.
    pub fn flags(&self) -> BTreeSet<Flag> {
        let mut flags = unmapped(&self.derived.entitlements);
        flags.retain(|flag| !self.cleared.contains(flag));
        flags.extend(self.derived.flags.iter().cloned());
        flags
    }

    /// Returns the tag of what is set and shown. Left out are times of the local clock, and when the
    /// customer will be derived anew, which says nothing about it.
    pub fn state_tag(&self) -> StateTag {
        let derived = Derived {
            due_at: None,
            ..self.derived.clone()
        };
        let is_deleted = self.deleted_at.is_some();
        StateTag::of(&(
            (&self.id, &self.profile, &self.hold, &self.courtesy),
            (&self.cleared, derived, is_deleted, &self.merged_into),
        ))
    }

    /// True if nobody has access by it: it was deleted, or none of the facts that made it count.
    pub const fn is_gone(&self) -> bool {
        self.deleted_at.is_some() || self.hidden
    }

    /// Returns the account that the row follows, whatever customer that is in.
    pub fn goes_with(&self) -> Option<&ObjectKey> {
        self.bound_to.as_ref().or(self.home.as_ref())
    }

    /// True if an admin created it, not a webhook.
    pub const fn is_admin_made(&self) -> bool {
        self.home.is_none()
    }
}

/// The fields that an admin set for a customer. For an empty field the value from billing is shown,
/// if there is one.
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
    /// Any data of the admin's; stored but not interpreted.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl Profile {
    /// Returns the e-mail address as addresses are compared.
    pub fn folded_email(&self) -> Option<String> {
        self.email.as_deref().and_then(fold_email)
    }
}

/// A hold set by an admin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AdminHold {
    /// No access until an admin lifts it.
    Suspended {
        /// The time at which it was set, by the local clock.
        since: Timestamp,
        /// The reason that the admin gave.
        reason: Option<String>,
    },
    /// Access to fixed versions.
    Frozen {
        /// The time at which it was set, by the local clock.
        since: Timestamp,
        /// Everything released until then is accessible.
        at: Timestamp,
        /// Exactly these versions instead, where given.
        versions: Option<Vec<PackageVersion>>,
    },
    /// No access until an admin lifts it.
    Expired {
        /// The time at which it was set, by the local clock.
        since: Timestamp,
        /// The reason that the admin gave.
        reason: Option<String>,
    },
}

words!(&AdminHold {
    Suspended = "suspended",
    Frozen = "frozen",
    Expired = "expired",
});

impl AdminHold {
    /// Returns the time at which the admin set it, by the local clock.
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
    /// The version as Composer writes it.
    pub version: String,
}

/// A courtesy: an admin's reactivation of a customer that billing does not find good.
///
/// It is in effect while the verdict is the same and no good instant is newer than `newest`. "Until
/// the verdict changes" cannot be recorded as it happens: late facts make verdicts come and go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Courtesy {
    /// The verdict of billing at that time.
    pub verdict: Verdict,
    /// Provider time: the newest instant known then of the customer's subscriptions.
    pub newest: Timestamp,
    /// The time at which it was given, by the local clock.
    pub since: Timestamp,
}

/// The derived state of a customer: everything that is shown of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Derived {
    /// The status, which decides access.
    pub status: Status,
    /// The reason, as a word of ours (`payment_failed`, `subscription_ended`, …) or in the admin's
    /// words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The contact: each field as the admin set it, else from billing.
    pub contact: Contact,
    /// The external id: the admin's, else provider and id of the first account (`stripe_cus_1`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The holds on the customer.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub holds: BTreeSet<Hold>,
    /// The open flags, without those for unmapped prices, which [`Customer::flags`] adds.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub flags: BTreeSet<Flag>,
    /// For a frozen customer: everything released until then is accessible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_at: Option<Timestamp>,
    /// For a customer frozen by an admin: exactly these versions, where given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_versions: Option<Vec<PackageVersion>>,
    /// The prices that count now.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub entitlements: BTreeSet<Entitlement>,
    /// The next time at which the derivation will have a different result without any event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The verdict of billing; `None` if no subscription counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Provider time: the earliest start of a failure among the customer's failing subscriptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Provider time: the end of the last subscription, if all have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// True if an admin's courtesy is in effect against the verdict of billing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub courtesy: bool,
}

impl Derived {
    /// True if what the customer may have depends on when versions were released.
    pub fn needs_releases(&self) -> bool {
        let is_dated = |it: &Entitlement| it.until.is_some();
        self.is_frozen_by_time() || self.entitlements.iter().any(is_dated)
    }

    /// True if the customer is frozen to an instant, not to a list of versions: the accessible
    /// versions then depend on the known releases.
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
    /// Access to everything released until an instant.
    Frozen {
        /// The instant: provider time if billing froze the customer, else as the admin set it.
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

/// A hold: a reason why a customer does not have full access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// No subscription is good.
    Billing,
    /// An admin set a hold.
    Manual,
    /// A dispute is open or lost.
    Dispute,
    /// A payment was refunded in full.
    Refund,
}

words!(Hold, all {
    Billing = "billing",
    Manual = "manual",
    Dispute = "dispute",
    Refund = "refund",
});
