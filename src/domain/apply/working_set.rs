//! The working set: everything of one app that a batch of events or an admin act can touch, in
//! memory.
//!
//! A store loads a working set, applies events and acts to it one after the other, and writes what
//! [`Changed`] names. Nothing here knows where it came from. Searches are plain scans: a working
//! set contains one batch, and indexes would be one more thing to keep consistent.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::access::hand_grant::HandGrant;
use crate::domain::access::plan::{Entitlement, Plans, Price};
use crate::domain::app_settings::AppSettings;
use crate::domain::billing::assessment::OfAccount;
use crate::domain::billing::history::{
    DisputeHistory, PaymentHistory, RefundHistory, SubscriptionHistory, UnfetchedHistory,
};
use crate::domain::billing::trace::PaymentLinks;
use crate::domain::customer::flag::{FlagHolder, KeptFlag};
use crate::domain::customer::other_body::OtherBodies;
use crate::domain::customer::row::Customer;
use crate::domain::id::{CustomerId, ObjectKey, Provider};
use crate::domain::identity::account::AccountHistory;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;

/// Everything of one app that a batch can touch.
#[derive(Clone, Debug, Default)]
pub struct WorkingSet {
    /// The app's policy.
    pub policy: Policy,
    /// The app's settings.
    pub settings: AppSettings,
    /// The providers whose endpoints are live although their secrets are of any mode: test facts
    /// count nowhere.
    pub live: BTreeSet<Provider>,
    /// The providers that can be asked, because there is a key.
    pub asks: BTreeSet<Provider>,
    /// The app's plans.
    pub plans: Plans,
    /// Billing accounts.
    pub accounts: BTreeMap<ObjectKey, Account>,
    /// Subscriptions.
    pub subscriptions: BTreeMap<ObjectKey, Subscription>,
    /// Payments, by document.
    pub payments: BTreeMap<ObjectKey, Payment>,
    /// Disputes.
    pub disputes: BTreeMap<ObjectKey, Dispute>,
    /// Refunds, and charges' counts of them.
    pub refunds: BTreeMap<ObjectKey, Refund>,
    /// Ids that one event named together.
    pub payment_links: PaymentLinks,
    /// Objects that events only named.
    pub unfetched: BTreeMap<ObjectKey, UnfetchedHistory>,
    /// Events without a customer that came again with another body.
    pub other_bodies: BTreeMap<ObjectKey, OtherBodies>,
    /// Rows.
    pub customers: BTreeMap<CustomerId, Customer>,
    /// Grants by hand, by the row that they were given to.
    pub hand_grants: BTreeMap<CustomerId, Vec<HandGrant>>,
    /// Derived rows of customers as they were loaded.
    pub loaded: BTreeMap<CustomerId, DerivedRows>,
    /// The keys of what changed since it was loaded.
    pub changed: Changed,
}

/// A billing account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Provider's id.
    pub key: ObjectKey,
    /// The history.
    pub history: AccountHistory,
    /// Derived: the address by which it is linked to its customer, lower case.
    pub linking_email: Option<String>,
    /// Derived: its current address, lower case.
    pub email: Option<String>,
    /// Derived: the row that is shown for it. Of a deleted customer, the deleted row.
    pub customer: Option<CustomerId>,
}

impl Account {
    /// Creates an account that a fact of this instant names, or that nothing has named yet
    /// ([`Timestamp::MAX`]).
    pub fn new(key: &ObjectKey, first_at: Timestamp) -> Self {
        Self {
            key: key.clone(),
            history: AccountHistory::new(first_at),
            linking_email: None,
            email: None,
            customer: None,
        }
    }

    /// Returns what its subscriptions are assessed with.
    pub(crate) const fn terms(&self) -> OfAccount<'_> {
        OfAccount {
            removed_at: self.history.removed_at,
            features: Some(&self.history.features),
        }
    }

    /// Reports whether any feature that it ever had has a plan.
    pub(crate) fn has_planned_features(&self, plans: &Plans) -> bool {
        let mut features = self.history.features.all().into_iter();
        features.any(|it| Price::from(&it).plan(&self.key.scope, plans).is_some())
    }

    /// Returns its first and its current address, by which customers can share one.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &String> {
        [&self.linking_email, &self.email].into_iter().flatten()
    }
}

/// An object that belongs to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned<H> {
    /// Provider's id.
    pub key: ObjectKey,
    /// The history.
    pub history: H,
    /// Derived: the account that pays or paid. It may not be among the working set's accounts, if no
    /// event has named it as an account.
    pub account: Option<ObjectKey>,
}

/// A subscription.
pub type Subscription = Owned<SubscriptionHistory>;

/// A dispute. Its key is Stripe's dispute, or Paddle's transaction.
pub type Dispute = Owned<DisputeHistory>;

/// A refund, or a charge's count of its refunds, under the charge's key.
pub type Refund = Owned<RefundHistory>;

/// The document of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Provider's id.
    pub key: ObjectKey,
    /// The history.
    pub history: PaymentHistory,
    /// Derived: the account that pays. It may not be among the working set's accounts.
    pub account: Option<ObjectKey>,
    /// Derived: the subscription that it is about.
    pub subscription: Option<ObjectKey>,
}

/// Keys of what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Billing accounts.
    pub accounts: BTreeSet<ObjectKey>,
    /// Subscriptions.
    pub subscriptions: BTreeSet<ObjectKey>,
    /// Payments.
    pub payments: BTreeSet<ObjectKey>,
    /// Disputes.
    pub disputes: BTreeSet<ObjectKey>,
    /// Refunds.
    pub refunds: BTreeSet<ObjectKey>,
    /// New payment links, the smaller id first.
    pub payment_links: BTreeSet<(ObjectKey, ObjectKey)>,
    /// Objects that events only named.
    pub unfetched: BTreeSet<ObjectKey>,
    /// Events without a customer that came again with another body.
    pub other_bodies: BTreeSet<ObjectKey>,
    /// Rows, including new ones.
    pub customers: BTreeSet<CustomerId>,
}

/// Rows that a store derives of a customer and keeps beside it, so that customers are found by
/// them. A store writes them only if they differ from those that were loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DerivedRows {
    /// The prices that count.
    pub entitlements: BTreeSet<Entitlement>,
    /// The flags.
    pub flags: BTreeSet<KeptFlag>,
}

impl WorkingSet {
    /// The derived rows of a customer as it is now. A merged row has none: those of the row shown
    /// instead count.
    pub fn derived_rows(&self, id: &CustomerId) -> DerivedRows {
        let row = self.customers.get(id).filter(|it| it.merged_into.is_none());
        DerivedRows {
            entitlements: row
                .map(|it| it.derived.entitlements.clone())
                .unwrap_or_default(),
            flags: self.kept_flags(&FlagHolder::Customer(id.clone())),
        }
    }

    /// Creates an empty working set.
    pub fn new(policy: Policy, plans: Plans) -> Self {
        Self {
            policy,
            plans,
            ..Self::default()
        }
    }

    /// Returns the row that is shown for an account and receives its events; `None` for an account
    /// that is not in this working set, or whose customer was deleted here.
    pub fn customer_of(&self, account: &ObjectKey) -> Option<&Customer> {
        let row = self
            .customers
            .get(self.accounts.get(account)?.customer.as_ref()?)?;
        (!row.is_gone()).then_some(row)
    }

    /// Reports whether an admin pinned the account to a row that has been deleted since.
    pub(crate) fn is_gone(&self, account: &ObjectKey) -> bool {
        let known = self.accounts.get(account);
        known.is_some_and(|account| account.history.pin.is_some())
            && self
                .pinned_row(account)
                .is_none_or(|row| row.deleted_at.is_some())
    }

    /// Reports whether the customer of an account was deleted for good, and nobody has claimed the
    /// account since.
    pub(crate) fn is_erased(&self, account: &ObjectKey) -> bool {
        self.is_gone(account) && self.pinned_row(account).is_none()
    }

    /// Returns the row that an account is pinned to; `None` also if it was deleted for good.
    pub(crate) fn pinned_row(&self, account: &ObjectKey) -> Option<&Customer> {
        let pin = self.accounts.get(account)?.history.pin.as_ref()?;
        self.customers.get(pin)
    }

    /// The rows that accounts are linked to, now or by an admin's pin.
    pub(crate) fn linked_rows(&self) -> impl Iterator<Item = &CustomerId> {
        let accounts = self.accounts.values();
        accounts
            .flat_map(|it| [&it.customer, &it.history.pin])
            .flatten()
    }

    /// The accounts that subscriptions, payments, disputes and refunds belong to, and those that payments
    /// name: one of a subscription that moved to another account goes back to the one that it names
    /// once its lines show that it was for no period.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &ObjectKey> {
        let subscriptions = self.subscriptions.values().map(|it| &it.account);
        let payments = self.payments.values().map(|it| &it.account);
        let disputes = self.disputes.values().map(|it| &it.account);
        let refunds = self.refunds.values().map(|it| &it.account);
        let money = payments.chain(disputes).chain(refunds);
        let named = self.payments.values();
        let named = named.filter_map(|it| it.history.account.as_ref().map(|(_, key)| key));
        subscriptions.chain(money).flatten().chain(named)
    }
}
