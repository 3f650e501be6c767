//! Joining: an event's facts become part of what is kept, and what that disturbs is noted.

use std::collections::BTreeSet;

use crate::domain::fact::{DisputeStanding, Fact, is_account};
use crate::domain::id::ObjectKey;
use crate::domain::identity::linking;
use crate::domain::kept::{
    KeptAccount, KeptDispute, KeptRefund, KeptSubscription, KeptUnfetched, RefundPart,
};
use crate::domain::standing::payer;
use crate::domain::time::Timestamp;
use crate::domain::world::{Account, Dispute, Refund, Subscription, World};

/// What joining facts has disturbed.
#[derive(Default)]
pub(super) struct Disturbed {
    /// Accounts whose customers are to be derived anew.
    pub(super) accounts: BTreeSet<ObjectKey>,
    /// Accounts that are new or hold their linking address otherwise, and such addresses, before
    /// and after: accounts may belong to other customers now.
    pub(super) strayed: BTreeSet<ObjectKey>,
    pub(super) emails: BTreeSet<String>,
    /// Disputes and refunds may belong to other accounts now.
    pub(super) disputes: bool,
    /// A dispute or refund itself changed.
    pub(super) money: bool,
}

impl World {
    /// Joins one fact of the instant `at` to what is kept.
    pub(super) fn join(&mut self, at: Timestamp, fact: &Fact, disturbed: &mut Disturbed) {
        match fact {
            Fact::Contact(contact) => {
                let join = |kept: &mut KeptAccount| kept.join_contact(at, contact);
                self.join_account(&contact.account, at, disturbed, join);
            }
            Fact::AccountNamed { account } => self.join_account(account, at, disturbed, |_| {}),
            Fact::AccountRemoved { account } => {
                self.join_account(account, at, disturbed, |kept| kept.join_removed(at));
            }
            Fact::Subscription(fact) => {
                let account = fact.state.account.as_ref();
                let join = |kept: &mut KeptSubscription| kept.join_state(at, fact);
                self.join_subscription(&fact.subscription, account, at, disturbed, join);
            }
            Fact::PaymentFailed {
                subscription,
                account,
            } => {
                let account = account.as_ref();
                let join = |kept: &mut KeptSubscription| kept.join_failure(at, account);
                self.join_subscription(subscription, account, at, disturbed, join);
            }
            Fact::PaymentSucceeded {
                subscription,
                account,
            } => {
                let account = account.as_ref();
                let join = |kept: &mut KeptSubscription| kept.join_success(at, account);
                self.join_subscription(subscription, account, at, disturbed, join);
            }
            Fact::Disputed {
                dispute,
                standing,
                ids,
            } => self.join_dispute(dispute, *standing, ids, at, disturbed),
            Fact::Refunded {
                refund,
                part,
                full,
                amount,
                ids,
            } => {
                let (full, amount) = (*full, *amount);
                let join = |kept: &mut KeptRefund| {
                    kept.join(part, RefundPart { at, full, amount }, ids);
                };
                self.join_refund(refund, disturbed, join);
                self.join_ids(refund, ids, at, disturbed);
            }
            Fact::Charged { payment, amount } => {
                let join = |kept: &mut KeptRefund| kept.join_charged(at, *amount);
                self.join_refund(payment, disturbed, join);
            }
            Fact::References { ids } => disturbed.disputes |= self.join_references(ids),
            Fact::Unfetched { object } => self.join_unfetched(object, at),
        }
    }

    fn join_unfetched(&mut self, key: &ObjectKey, at: Timestamp) {
        let known = self.unfetched.entry(key.clone());
        known.or_insert_with(|| KeptUnfetched::new(at)).join(at);
        self.touched.unfetched.insert(key.clone());
    }

    fn join_dispute(
        &mut self,
        key: &ObjectKey,
        standing: DisputeStanding,
        ids: &BTreeSet<ObjectKey>,
        at: Timestamp,
        disturbed: &mut Disturbed,
    ) {
        let is_new = !self.disputes.contains_key(key);
        let dispute = self.disputes.entry(key.clone()).or_insert_with(|| Dispute {
            key: key.clone(),
            kept: KeptDispute::new(at, standing),
            account: None,
        });
        let before = dispute.kept.clone();
        dispute.kept.join(at, standing, ids);
        if is_new || dispute.kept != before {
            self.touched.disputes.insert(key.clone());
            disturbed.money = true;
        }
        self.join_ids(key, ids, at, disturbed);
    }

    fn join_refund(
        &mut self,
        key: &ObjectKey,
        disturbed: &mut Disturbed,
        join: impl FnOnce(&mut KeptRefund),
    ) {
        let refund = self.refunds.entry(key.clone()).or_insert_with(|| Refund {
            key: key.clone(),
            kept: KeptRefund::default(),
            account: None,
        });
        let before = refund.kept.clone();
        join(&mut refund.kept);
        if refund.kept != before {
            self.touched.refunds.insert(key.clone());
            disturbed.money = true;
        }
    }

    /// A dispute or refund names the ids that it is tied to, and accounts among them exist. It
    /// counts as one of the ids itself, so that a store finds it from any of them.
    fn join_ids(
        &mut self,
        object: &ObjectKey,
        ids: &BTreeSet<ObjectKey>,
        at: Timestamp,
        disturbed: &mut Disturbed,
    ) {
        let mut tied = ids.clone();
        tied.insert(object.clone());
        self.join_references(&tied);
        for account in ids.iter().filter(|id| is_account(id)) {
            self.join_account(account, at, disturbed, |_| {});
        }
        disturbed.disputes = true;
    }

    /// Joins a fact to an account, which exists from now on if it did not.
    pub(super) fn join_account(
        &mut self,
        key: &ObjectKey,
        at: Timestamp,
        disturbed: &mut Disturbed,
        join: impl FnOnce(&mut KeptAccount),
    ) {
        let is_new = !self.accounts.contains_key(key);
        let account = self.accounts.entry(key.clone()).or_insert_with(|| Account {
            key: key.clone(),
            kept: KeptAccount::new(at),
            linking_email: None,
            customer: None,
        });
        let before = account.kept.clone();
        account.kept.join_named(at);
        join(&mut account.kept);
        disturbed.accounts.insert(key.clone());
        if is_new || account.kept != before {
            let (was, is) = (linking(&before), linking(&account.kept));
            if is_new || was != is {
                let emails = [was, is].into_iter().flatten().map(|l| l.email.to_owned());
                disturbed.emails.extend(emails);
                disturbed.strayed.insert(key.clone());
            }
            account.linking_email = is.map(|linking| linking.email.to_owned());
            self.touched.accounts.insert(key.clone());
        }
    }

    /// Joins a fact to a subscription; payments are kept under its id before it is known.
    fn join_subscription(
        &mut self,
        key: &ObjectKey,
        account: Option<&ObjectKey>,
        at: Timestamp,
        disturbed: &mut Disturbed,
        join: impl FnOnce(&mut KeptSubscription),
    ) {
        if let Some(account) = account {
            self.join_account(account, at, disturbed, |_| {});
        }
        let is_new = !self.subscriptions.contains_key(key);
        let subscription = self
            .subscriptions
            .entry(key.clone())
            .or_insert_with(|| Subscription {
                key: key.clone(),
                kept: KeptSubscription::default(),
                account: None,
            });
        let before = subscription.kept.clone();
        join(&mut subscription.kept);
        let payer = payer(&subscription.kept);
        disturbed.accounts.extend(subscription.account.clone());
        disturbed.accounts.extend(payer.clone());
        if is_new || subscription.kept != before {
            subscription.account = payer;
            self.touched.subscriptions.insert(key.clone());
        }
    }
}
