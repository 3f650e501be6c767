//! Everything of one app that a batch of events or an admin act can touch, in memory.
//!
//! A store loads a world, lets events and acts work on it one after the other, and writes what
//! [`Touched`] names. Nothing here knows where it came from. Searches are plain scans: a world
//! holds one batch, and indexes would be one more thing to keep true.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::customer::Customer;
use super::id::{CustomerId, ObjectKey};
use super::kept::{KeptAccount, KeptDispute, KeptRefund, KeptSubscription, KeptUnfetched};
use super::plan::Plans;
use super::policy::Policy;
use super::standing::{Standing, standing};
use super::time::Timestamp;

/// Everything of one app that a batch can touch.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The app's policy.
    pub policy: Policy,
    /// What prices buy; only names the packages of changes.
    pub plans: Plans,
    /// Billing accounts.
    pub accounts: BTreeMap<ObjectKey, Account>,
    /// Subscriptions.
    pub subscriptions: BTreeMap<ObjectKey, Subscription>,
    /// Disputes.
    pub disputes: BTreeMap<ObjectKey, Dispute>,
    /// Refunds.
    pub refunds: BTreeMap<ObjectKey, Refund>,
    /// Ids that one event named together, the smaller first.
    pub references: BTreeSet<(ObjectKey, ObjectKey)>,
    /// Objects that events only named.
    pub unfetched: BTreeMap<ObjectKey, KeptUnfetched>,
    /// Rows.
    pub customers: BTreeMap<CustomerId, Customer>,
    /// What changed since it was loaded.
    pub touched: Touched,
}

/// A billing account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Provider's id.
    pub key: ObjectKey,
    /// What is kept of it.
    pub kept: KeptAccount,
    /// Derived: the address by which it finds its customer, lower case.
    pub linking_email: Option<String>,
    /// Derived: the row that is shown for it. Of a deleted customer, the deleted row.
    pub customer: Option<CustomerId>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Provider's id.
    pub key: ObjectKey,
    /// What is kept of it.
    pub kept: KeptSubscription,
    /// Derived: who pays.
    pub account: Option<ObjectKey>,
}

/// A dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Stripe: the dispute's id. Paddle: the transaction's.
    pub key: ObjectKey,
    /// What is kept of it.
    pub kept: KeptDispute,
    /// Derived: whose payment it was. An account that no event has named as one may not be
    /// among the world's accounts.
    pub account: Option<ObjectKey>,
}

/// The refunds of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The payment's id: Stripe's charge, Paddle's transaction.
    pub key: ObjectKey,
    /// What is kept of it.
    pub kept: KeptRefund,
    /// Derived: whose payment it was, as for disputes.
    pub account: Option<ObjectKey>,
}

/// Keys of what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Billing accounts.
    pub accounts: BTreeSet<ObjectKey>,
    /// Subscriptions.
    pub subscriptions: BTreeSet<ObjectKey>,
    /// Disputes.
    pub disputes: BTreeSet<ObjectKey>,
    /// Refunds.
    pub refunds: BTreeSet<ObjectKey>,
    /// New pairs of ids.
    pub references: BTreeSet<(ObjectKey, ObjectKey)>,
    /// Objects that events only named.
    pub unfetched: BTreeSet<ObjectKey>,
    /// Rows, new ones too.
    pub customers: BTreeSet<CustomerId>,
}

impl World {
    /// A world with nothing in it.
    pub fn new(policy: Policy, plans: Plans) -> Self {
        Self {
            policy,
            plans,
            ..Self::default()
        }
    }

    /// How a subscription stands now; `None` if it is not in this world.
    pub fn standing(&self, subscription: &ObjectKey, now: Timestamp) -> Option<Standing> {
        let subscription = self.subscriptions.get(subscription)?;
        let account = subscription
            .account
            .as_ref()
            .and_then(|key| self.accounts.get(key));
        let removed_at = account.and_then(|account| account.kept.removed_at);
        Some(standing(&subscription.kept, removed_at, &self.policy, now))
    }

    /// The row that is shown for an account and takes its events; `None` for an account that is
    /// not in this world, or whose customer was deleted here.
    pub fn customer_of(&self, account: &ObjectKey) -> Option<&Customer> {
        let row = self
            .customers
            .get(self.accounts.get(account)?.customer.as_ref()?)?;
        row.deleted_at.is_none().then_some(row)
    }

    /// An admin tied the account to a row that has been deleted since.
    pub(crate) fn is_gone(&self, account: &ObjectKey) -> bool {
        let pin = self
            .accounts
            .get(account)
            .and_then(|account| account.kept.pin.as_ref());
        pin.is_some_and(|pin| {
            self.customers
                .get(pin)
                .is_none_or(|row| row.deleted_at.is_some())
        })
    }
}
