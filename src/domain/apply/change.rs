//! Changes: the difference that an event or an admin act makes to what is shown.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::access::hand_grant::HandGrant;
use crate::domain::access::plan::Entitlement;
use crate::domain::access::plan::{PackageGrant, Plans, grants};
use crate::domain::billing::fact::Contact;
use crate::domain::billing::subscription_view::SubscriptionView;
use crate::domain::customer::flag::Flag;
use crate::domain::customer::row::{Customer, Derived, Hold, PackageVersion, Profile, Status};
use crate::domain::id::{CustomerId, ObjectKey, Provider};
use crate::domain::identity::account::PinnedBy;
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// The outcome of an event and its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The outcome.
    pub outcome: Outcome,
    /// The row shown for the account that the event is about, where there is one.
    pub customer: Option<CustomerId>,
    /// The changes, in the order in which they were made.
    pub changes: Vec<Change>,
    /// True if it is about an account whose customer was deleted for good: nothing about a person
    /// may be kept of it.
    pub forgotten: bool,
}

/// The outcome of an event that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It changed something that is shown.
    Applied,
    /// It contained nothing new, or nothing that is shown.
    Unchanged,
    /// It changed nothing that is shown and is older than what is known of its object.
    Superseded,
    /// It is none of the events that can change anything.
    Ignored(IgnoreCode),
}

/// The reason why an event was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IgnoreCode {
    /// It contains no facts.
    NoFacts,
    /// It only links ids, and nothing depended on that.
    ReferencesOnly,
    /// The customer of its account was deleted here.
    CustomerDeleted,
    /// It only names an object, and fetching that object requires an API key.
    ApiKeyNeeded,
    /// It only names an object, which the provider is asked for.
    FetchedInstead,
    /// It is of a connected account that the app does not name.
    UnknownConnectedAccount,
    /// It is a test event at an endpoint that is live.
    WrongMode,
}

words!(IgnoreCode, all {
    NoFacts = "no_facts",
    ReferencesOnly = "references_only",
    CustomerDeleted = "customer_deleted",
    ApiKeyNeeded = "api_key_needed",
    FetchedInstead = "fetched_instead",
    UnknownConnectedAccount = "unknown_connected_account",
    WrongMode = "wrong_mode",
});

/// One change of one customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The row.
    pub customer: CustomerId,
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
}

/// The operations on a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// A row was created.
    Create {
        /// The external id that is shown.
        external_id: Option<String>,
        /// The contact that is shown.
        contact: Contact,
    },
    /// Soft deletion.
    Delete,
    /// The customer was suspended.
    Suspend {
        /// The reason.
        reason: Option<String>,
        /// The status before.
        from: Status,
    },
    /// Access was restored.
    Reactivate {
        /// The status before.
        from: Status,
    },
    /// The customer was frozen to what was released until an instant.
    Freeze {
        /// The instant.
        #[serde(with = "crate::domain::time::rfc3339")]
        at: Timestamp,
        /// Exactly these versions instead, where an admin chose them.
        versions: Option<Vec<PackageVersion>>,
        /// The reason.
        reason: Option<String>,
        /// The status before.
        from: Status,
    },
    /// The customer expired.
    Expire {
        /// The reason.
        reason: Option<String>,
        /// The status before.
        from: Status,
    },
    /// The holds or the reason changed, but not the status.
    UpdateHolds {
        /// The value before.
        from: BTreeSet<Hold>,
        /// The value after.
        to: BTreeSet<Hold>,
        /// The reason after the change.
        reason: Option<String>,
    },
    /// A price began to count.
    Grant {
        /// The packages that it buys; empty without a plan.
        packages: Vec<PackageGrant>,
        /// The price.
        price: String,
        /// The subscription that has it, or the document of the payment that bought it.
        source: ObjectKey,
    },
    /// A price no longer counts.
    Revoke {
        /// The packages that it bought; empty without a plan.
        packages: Vec<PackageGrant>,
        /// The price.
        price: String,
        /// The subscription that had it, or the document of the payment that had bought it.
        source: ObjectKey,
    },
    /// Grants by hand of a package ran out.
    GrantExpire {
        /// The package.
        package: String,
        /// The grants before.
        from: Vec<HandGrant>,
        /// Those of them that have not run out.
        to: Vec<HandGrant>,
    },
    /// The contact changed.
    UpdateContact {
        /// The value before.
        from: Contact,
        /// The value after.
        to: Contact,
    },
    /// The external id changed.
    UpdateExternalId {
        /// The value before.
        from: Option<String>,
        /// The value after.
        to: Option<String>,
    },
    /// The profile that an admin set changed.
    UpdateProfile {
        /// The value before.
        from: Box<Profile>,
        /// The value after.
        to: Box<Profile>,
    },
    /// The view of a subscription changed.
    UpdateSubscription {
        /// The subscription.
        subscription: ObjectKey,
        /// The view before; `None` if it was not known.
        from: Option<Box<SubscriptionView>>,
        /// The view after.
        to: Box<SubscriptionView>,
    },
    /// A billing account was linked to this customer.
    LinkAccount {
        /// The account.
        account: ObjectKey,
        /// The row that was shown for it before.
        from: Option<CustomerId>,
    },
    /// An admin linked a billing account to this customer or parted it from another one, or an act
    /// about something else kept it with its customer.
    PinAccount {
        /// The account.
        account: ObjectKey,
        /// The act.
        by: PinnedBy,
        /// The row that was shown for it before.
        from: Option<CustomerId>,
    },
    /// This row was merged into another one.
    Merge {
        /// The other row.
        into: CustomerId,
    },
    /// This row is shown again.
    Split {
        /// The row that was shown instead.
        from: CustomerId,
    },
    /// This row is no longer shown: none of the facts about it count any more.
    Hide,
    /// This row is shown again: some of the facts about it count again.
    Show,
    /// A flag was raised.
    Flag {
        /// The flag.
        flag: Flag,
    },
    /// A flag is no longer open.
    Unflag {
        /// The flag.
        flag: Flag,
    },
}

/// Returns the changes of a customer whose row was `before` and is `after`; a new row has no
/// `before`.
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
            // A merged row has a copy of the other's derived state; only the merge itself is a
            // change.
            let merged = was != Some(into);
            let merge = merged.then(|| Operation::Merge { into: into.clone() });
            return in_row(&after.id, merge.into_iter().collect());
        }
        (Some(from), None) => operations.push(Operation::Split { from: from.clone() }),
        (None, None) => {}
    }
    match (before.is_some_and(|row| row.hidden), after.hidden) {
        (true, true) => return Vec::new(),
        (false, true) => return in_row(&after.id, vec![Operation::Hide]),
        (true, false) => operations.push(Operation::Show),
        (false, false) => {}
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
    let flags = before.map(Customer::flags).unwrap_or_default();
    operations.extend(flag_changes(&flags, &after.flags()));
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

/// Returns grants and revocations. When a new status takes all access away, there is no revocation
/// for each price as well. Nor is there one of no packages for a price that stays while its plan comes or
/// goes: the plan's own change tells.
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
    let gone: Vec<_> = from.entitlements.difference(&to.entitlements).collect();
    let come: Vec<_> = to.entitlements.difference(&from.entitlements).collect();
    let stays: BTreeSet<_> = gone.iter().map(|it| but_for_plan(it)).collect();
    let stays: BTreeSet<_> = come
        .iter()
        .map(|it| but_for_plan(it))
        .filter(|it| stays.contains(it))
        .collect();
    let is_told =
        |it: &&Entitlement| !stays.contains(&but_for_plan(it)) || !packages(it).is_empty();
    let revoked = gone.iter().copied().filter(|_| !shut).filter(is_told);
    let granted = come.iter().copied().filter(is_told);
    let revoke = |entitlement: &Entitlement| Operation::Revoke {
        packages: packages(entitlement),
        price: entitlement.price.clone(),
        source: entitlement.source.clone(),
    };
    let grant = |entitlement: &Entitlement| Operation::Grant {
        packages: packages(entitlement),
        price: entitlement.price.clone(),
        source: entitlement.source.clone(),
    };
    revoked.map(revoke).chain(granted.map(grant)).collect()
}

/// What an entitlement is but for its plan.
fn but_for_plan(entitlement: &Entitlement) -> (Provider, &str, &ObjectKey, Option<Timestamp>) {
    let Entitlement {
        provider,
        price,
        plan: _,
        source,
        until,
    } = entitlement;
    (*provider, price, source, *until)
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
