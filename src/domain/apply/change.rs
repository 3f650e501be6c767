//! What an event or an admin act changed: the difference of what is shown before and after.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::access::plan::Entitlement;
use crate::domain::access::plan::{PackageGrant, Plans, grants};
use crate::domain::billing::assessment::SubscriptionView;
use crate::domain::billing::fact::Contact;
use crate::domain::customer::flag::Flag;
use crate::domain::customer::row::{Customer, Derived, Hold, PackageVersion, Profile, Status};
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// What became of an event, and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What became of it.
    pub outcome: Outcome,
    /// The row shown for the account that the event is about, where there is one.
    pub customer: Option<CustomerId>,
    /// What it changed, in the order of doing.
    pub changes: Vec<Change>,
}

/// What became of an event that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It changed something that is shown.
    Applied,
    /// It said nothing new, or nothing that shows.
    Unchanged,
    /// It changed nothing that is shown and is older than what is known of its object.
    Superseded,
    /// It is none of the events that can change anything.
    Ignored(IgnoreCode),
}

/// Why an event was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IgnoreCode {
    /// It says nothing that counts here.
    NoFacts,
    /// It only names ids together, and nothing waited for that.
    ReferencesOnly,
    /// The customer of its account was deleted here.
    CustomerDeleted,
    /// It only names an object, and fetching that needs an API key.
    ApiKeyNeeded,
}

words!(IgnoreCode, all {
    NoFacts = "no_facts",
    ReferencesOnly = "references_only",
    CustomerDeleted = "customer_deleted",
    ApiKeyNeeded = "api_key_needed",
});

/// One change of one customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The row.
    pub customer: CustomerId,
    /// What was done.
    #[serde(flatten)]
    pub operation: Operation,
}

/// What can be done to a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// A row was made.
    Create {
        /// As shown.
        external_id: Option<String>,
        /// As shown.
        contact: Contact,
    },
    /// Soft deletion.
    Delete,
    /// No access for now.
    Suspend {
        /// Why.
        reason: Option<String>,
        /// The status before.
        from: Status,
    },
    /// Access again.
    Reactivate {
        /// The status before.
        from: Status,
    },
    /// Access to what was released until then.
    Freeze {
        /// Until when.
        #[serde(with = "crate::domain::time::rfc3339")]
        at: Timestamp,
        /// Exactly these versions instead, where an admin said so.
        versions: Option<Vec<PackageVersion>>,
        /// Why.
        reason: Option<String>,
        /// The status before.
        from: Status,
    },
    /// No access.
    Expire {
        /// Why.
        reason: Option<String>,
        /// The status before.
        from: Status,
    },
    /// The status is the same, what holds the customer or the reason is not.
    UpdateHolds {
        /// Before.
        from: BTreeSet<Hold>,
        /// After.
        to: BTreeSet<Hold>,
        /// Why, after.
        reason: Option<String>,
    },
    /// A price counts that did not.
    Grant {
        /// What it buys; empty without a plan.
        packages: Vec<PackageGrant>,
        /// The price.
        price: String,
        /// The subscription that has it.
        subscription: ObjectKey,
    },
    /// A price that counted does not.
    Revoke {
        /// What it bought; empty without a plan.
        packages: Vec<PackageGrant>,
        /// The price.
        price: String,
        /// The subscription that had it.
        subscription: ObjectKey,
    },
    /// How the customer is reached.
    UpdateContact {
        /// Before.
        from: Contact,
        /// After.
        to: Contact,
    },
    /// The id that others know the customer by.
    UpdateExternalId {
        /// Before.
        from: Option<String>,
        /// After.
        to: Option<String>,
    },
    /// What an admin set.
    UpdateProfile {
        /// Before.
        from: Box<Profile>,
        /// After.
        to: Box<Profile>,
    },
    /// A subscription is shown otherwise.
    UpdateSubscription {
        /// Which.
        subscription: ObjectKey,
        /// Before; `None` if it was not known.
        from: Option<Box<SubscriptionView>>,
        /// After.
        to: Box<SubscriptionView>,
    },
    /// A billing account belongs to this customer now.
    LinkAccount {
        /// Which.
        account: ObjectKey,
        /// The row that was shown for it before.
        from: Option<CustomerId>,
    },
    /// An admin tied a billing account to this customer, or an admin act did so to keep it
    /// where it was.
    PinAccount {
        /// Which.
        account: ObjectKey,
    },
    /// Another row is shown instead of this one.
    Merge {
        /// That row.
        into: CustomerId,
    },
    /// This row is shown again.
    Split {
        /// The row that was shown instead.
        from: CustomerId,
    },
    /// Something to look at.
    Flag {
        /// What.
        flag: Flag,
    },
    /// No longer something to look at.
    Unflag {
        /// What.
        flag: Flag,
    },
}

/// What an event did to the customer whose row looked like `before` and is `after`; a new row
/// has no before.
pub fn difference(before: Option<&Customer>, after: &Customer, plans: &Plans) -> Vec<Change> {
    let mut operations = Vec::new();
    let nothing = Derived::default();
    let from = before.map_or(&nothing, |row| &row.derived);
    let to = &after.derived;
    match (
        before.and_then(|row| row.merged_into.as_ref()),
        &after.merged_into,
    ) {
        (was, Some(into)) => {
            // A merged row shows a copy of the other; only the merging itself is a change.
            let merged = was != Some(into);
            let merge = merged.then(|| Operation::Merge { into: into.clone() });
            return in_row(&after.id, merge.into_iter().collect());
        }
        (Some(from), None) => operations.push(Operation::Split { from: from.clone() }),
        (None, None) => {}
    }
    if before.is_none() {
        operations.push(Operation::Create {
            external_id: to.external_id.clone(),
            contact: to.contact.clone(),
        });
    } else {
        operations.extend(contact_change(from, to));
    }
    operations.extend(entitlement_changes(from, to, plans));
    operations.extend(status_change(from, to));
    let flags = before.map(|row| row.flags(plans)).unwrap_or_default();
    operations.extend(flag_changes(&flags, &after.flags(plans)));
    in_row(&after.id, operations)
}

fn in_row(row: &CustomerId, operations: Vec<Operation>) -> Vec<Change> {
    let change = |operation| Change {
        customer: row.clone(),
        operation,
    };
    operations.into_iter().map(change).collect()
}

fn contact_change(from: &Derived, to: &Derived) -> Vec<Operation> {
    let mut operations = Vec::new();
    if from.external_id != to.external_id {
        operations.push(Operation::UpdateExternalId {
            from: from.external_id.clone(),
            to: to.external_id.clone(),
        });
    }
    if from.contact != to.contact {
        operations.push(Operation::UpdateContact {
            from: from.contact.clone(),
            to: to.contact.clone(),
        });
    }
    operations
}

fn status_change(from: &Derived, to: &Derived) -> Option<Operation> {
    let reason = to.reason.clone();
    let same_versions = from.frozen_versions == to.frozen_versions;
    if from.status == to.status && same_versions {
        let same = from.holds == to.holds && from.reason == to.reason;
        return (!same).then(|| Operation::UpdateHolds {
            from: from.holds.clone(),
            to: to.holds.clone(),
            reason,
        });
    }
    let from = from.status;
    Some(match to.status {
        Status::Active => Operation::Reactivate { from },
        Status::Suspended => Operation::Suspend { reason, from },
        Status::Expired => Operation::Expire { reason, from },
        Status::Frozen { at } => Operation::Freeze {
            at,
            versions: to.frozen_versions.clone(),
            reason,
            from,
        },
    })
}

/// Grants and revocations. Whoever loses all access by a new status is not told of each price
/// as well.
fn entitlement_changes(from: &Derived, to: &Derived, plans: &Plans) -> Vec<Operation> {
    let packages = |entitlement: &Entitlement| {
        grants(plans, entitlement)
            .map(<[PackageGrant]>::to_vec)
            .unwrap_or_default()
    };
    let shut = match to.status {
        Status::Active | Status::Frozen { .. } => false,
        Status::Suspended | Status::Expired => true,
    };
    let revoked = from
        .entitlements
        .difference(&to.entitlements)
        .filter(|_| !shut);
    let granted = to.entitlements.difference(&from.entitlements);
    let revoke = |entitlement: &Entitlement| Operation::Revoke {
        packages: packages(entitlement),
        price: entitlement.price.clone(),
        subscription: entitlement.subscription.clone(),
    };
    let grant = |entitlement: &Entitlement| Operation::Grant {
        packages: packages(entitlement),
        price: entitlement.price.clone(),
        subscription: entitlement.subscription.clone(),
    };
    revoked.map(revoke).chain(granted.map(grant)).collect()
}

fn flag_changes(from: &BTreeSet<Flag>, to: &BTreeSet<Flag>) -> Vec<Operation> {
    let closed = from
        .difference(to)
        .map(|flag| Operation::Unflag { flag: flag.clone() });
    let opened = to
        .difference(from)
        .map(|flag| Operation::Flag { flag: flag.clone() });
    closed.chain(opened).collect()
}
