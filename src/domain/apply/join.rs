//! Joins the facts of an event to the histories, and notes what has to be rederived.

use std::collections::BTreeSet;

use crate::domain::apply::working_set::{
    Account, Dispute, Payment, Refund, Subscription, WorkingSet,
};
use crate::domain::billing::fact::{DisputeStage, Fact, PaymentFact};
use crate::domain::billing::history::{
    DisputeHistory, PaymentHistory, RefundHistory, SubscriptionHistory, UnfetchedHistory,
};
use crate::domain::billing::standing::payer;
use crate::domain::billing::trace::{Traced, TracedTo};
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::identity::account::AccountHistory;
use crate::domain::identity::account::linking;
use crate::domain::identity::links::Words;
use crate::domain::identity::test_trace::Origin;
use crate::domain::time::Timestamp;

/// The things that joined facts have disturbed, which have to be rederived.
#[derive(Default)]
pub(super) struct Disturbed {
    /// Accounts that the facts of the event name, whatever was known of them.
    pub(super) named: BTreeSet<ObjectKey>,
    /// Accounts whose customers must be rederived.
    pub(super) accounts: BTreeSet<ObjectKey>,
    /// Accounts that are new or follow others by other words: accounts may belong to other
    /// customers now.
    pub(super) relinked: BTreeSet<ObjectKey>,
    /// These words before and after, and the addresses that changed hands.
    pub(super) words: Words,
    /// Disputes and refunds may belong to other accounts now.
    pub(super) disputes: bool,
    /// True if a dispute or refund itself changed.
    pub(super) money: bool,
    /// True if ids were linked: disputes, refunds and documents may be about other payments now,
    /// even where they stay with their account.
    pub(super) links: bool,
}

impl WorkingSet {
    /// Joins one fact of the instant `at` to its history.
    pub(super) fn join(&mut self, at: Timestamp, fact: &Fact, disturbed: &mut Disturbed) {
        match fact {
            Fact::Contact(contact) => {
                let join = |history: &mut AccountHistory| history.join_contact(at, contact);
                self.join_account(&contact.account, at, disturbed, join);
            }
            Fact::SellerId(fact) => {
                let id = self.settings.identity.seller_id(fact).map(str::to_owned);
                self.join_account(&fact.account, at, disturbed, |history| {
                    if let Some(id) = &id {
                        history.join_seller_id(at, id);
                    }
                });
                if let (Some(subscription), Some(id)) = (&fact.subscription, id) {
                    let join = |history: &mut SubscriptionHistory| history.join_seller_id(at, id);
                    self.join_subscription(subscription, None, at, disturbed, join);
                }
            }
            Fact::AccountNamed { account } => self.join_account(account, at, disturbed, |_| {}),
            Fact::AccountRemoved { account } => {
                self.join_account(account, at, disturbed, |history| history.join_removed(at));
            }
            Fact::Subscription(fact) => {
                let account = fact.state.account.as_ref();
                let join = |history: &mut SubscriptionHistory| history.join_state(at, fact);
                self.join_subscription(&fact.subscription, account, at, disturbed, join);
            }
            Fact::Features(fact) => {
                self.join_account(&fact.account, at, disturbed, |history| {
                    history.features.join(at, fact);
                });
            }
            Fact::Payment(fact) => self.join_payment(fact, at, disturbed),
            Fact::Disputed {
                dispute,
                stage,
                ids,
            } => self.join_dispute(dispute, *stage, ids, at, disturbed),
            Fact::Refunded(fact) => {
                let join = |history: &mut RefundHistory| {
                    history.join(at, fact);
                };
                self.join_refund(&fact.refund, disturbed, join);
                self.join_ids(&fact.refund, &fact.ids, at, disturbed);
            }
            Fact::ChargeRefunded {
                charge,
                amount,
                ids,
            } => {
                let mut ids = ids.clone();
                ids.insert(charge.clone());
                let join = |history: &mut RefundHistory| history.join_counted(at, *amount, &ids);
                self.join_refund(charge, disturbed, join);
                self.join_ids(charge, &ids, at, disturbed);
            }
            Fact::PaymentLink { ids } => {
                let is_new = self.join_payment_links(ids);
                disturbed.disputes |= is_new;
                disturbed.links |= is_new;
            }
            Fact::Unfetched { object } | Fact::KeyExposed { key: object } => {
                self.join_unfetched(object, at);
            }
        }
    }

    pub(super) fn join_unfetched(&mut self, key: &ObjectKey, at: Timestamp) {
        let known = self.unfetched.entry(key.clone());
        known.or_insert_with(|| UnfetchedHistory::new(at)).join(at);
        self.changed.unfetched.insert(key.clone());
    }

    /// Joins a fact to the document of a payment, which is kept even before its account is known.
    fn join_payment(&mut self, fact: &PaymentFact, at: Timestamp, disturbed: &mut Disturbed) {
        let key = &fact.document;
        if let Some(account) = &fact.account {
            self.join_account(account, at, disturbed, |_| {});
        }
        let is_new = !self.payments.contains_key(key);
        let payment = self.payments.entry(key.clone()).or_insert_with(|| Payment {
            key: key.clone(),
            history: PaymentHistory::new(at),
            account: None,
            subscription: None,
        });
        let before = payment.history.clone();
        payment.history.join(at, fact);
        if is_new || payment.history != before {
            self.changed.payments.insert(key.clone());
        }
        // Disputes and refunds may be about it.
        disturbed.disputes |= is_new;
        self.own_payment(key, disturbed);
    }

    /// Updates the owner of a payment: the account that has its subscription now, since Paddle can move
    /// one to another customer, who then has what was paid for it. Of a payment that is for no
    /// subscription, or was for things bought once alone, the account that it names.
    fn own_payment(&mut self, key: &ObjectKey, disturbed: &mut Disturbed) {
        let Some(payment) = self.payments.get_mut(key) else {
            return;
        };
        let named = |part: &Option<(Timestamp, ObjectKey)>| part.as_ref().map(|it| it.1.clone());
        let subscription = named(&payment.history.subscription);
        let of_subscription = subscription
            .as_ref()
            .and_then(|key| self.subscriptions.get(key)?.account.clone());
        let own = named(&payment.history.account);
        let account = if payment.history.is_for_purchases_alone() {
            own.or(of_subscription)
        } else {
            of_subscription.or(own)
        };
        disturbed.accounts.extend(payment.account.clone());
        disturbed.accounts.extend(account.clone());
        if (&payment.account, &payment.subscription) != (&account, &subscription) {
            payment.account = account;
            payment.subscription = subscription;
            self.changed.payments.insert(key.clone());
            disturbed.disputes = true;
        }
    }

    /// Returns the accounts of everything whose payment is found by links.
    pub(super) fn owners_by_links(&self) -> BTreeSet<ObjectKey> {
        let disputes = self.disputes.values().map(|it| &it.account);
        let refunds = self.refunds.values().map(|it| &it.account);
        // An invoice takes in the sessions and intents that are linked to it.
        let folded = |it: &&Payment| matches!(it.key.kind, Kind::Session | Kind::PaymentIntent);
        let payments = self.payments.values().filter(folded);
        let owners = disputes
            .chain(refunds)
            .chain(payments.map(|it| &it.account));
        owners.flatten().cloned().collect()
    }

    /// Looks up what every dispute and refund is about again. Returns the accounts that gained or
    /// lost one.
    pub(super) fn relink_disputes(&mut self) -> BTreeSet<ObjectKey> {
        let owner = |traced: Option<Traced>| match traced?.to {
            TracedTo::Payment(key) => self.payments.get(&key)?.account.clone(),
            TracedTo::Subscription(key) => self.subscriptions.get(&key)?.account.clone(),
            TracedTo::Account(key) => Some(key),
        };
        let disputes = self.disputes.values();
        let disputes: Vec<_> = disputes
            .map(|it| owner(self.trace(&it.history.ids)))
            .collect();
        let refunds = self.refunds.values();
        let refunds: Vec<_> = refunds
            .map(|it| owner(self.trace(&it.history.ids)))
            .collect();
        let mut changed = BTreeSet::new();
        for (dispute, account) in self.disputes.values_mut().zip(disputes) {
            if dispute.account != account {
                changed.extend(account.clone());
                changed.extend(std::mem::replace(&mut dispute.account, account));
                self.changed.disputes.insert(dispute.key.clone());
            }
        }
        for (refund, account) in self.refunds.values_mut().zip(refunds) {
            if refund.account != account {
                changed.extend(account.clone());
                changed.extend(std::mem::replace(&mut refund.account, account));
                self.changed.refunds.insert(refund.key.clone());
            }
        }
        changed
    }

    /// Links ids that one event named together. Returns true if any link is new.
    fn join_payment_links(&mut self, ids: &BTreeSet<ObjectKey>) -> bool {
        let mut new = false;
        for (i, one) in ids.iter().enumerate() {
            for other in ids.iter().skip(i + 1) {
                if self.payment_links.insert(one, other) {
                    let link = (one.clone(), other.clone());
                    self.changed.payment_links.insert(link);
                    new = true;
                }
            }
        }
        new
    }

    fn join_dispute(
        &mut self,
        key: &ObjectKey,
        stage: DisputeStage,
        ids: &BTreeSet<ObjectKey>,
        at: Timestamp,
        disturbed: &mut Disturbed,
    ) {
        let is_new = !self.disputes.contains_key(key);
        let dispute = self.disputes.entry(key.clone()).or_insert_with(|| Dispute {
            key: key.clone(),
            history: DisputeHistory::new(at, stage),
            account: None,
        });
        let before = dispute.history.clone();
        dispute.history.join(at, stage, ids);
        if is_new || dispute.history != before {
            self.changed.disputes.insert(key.clone());
            disturbed.money = true;
        }
        self.join_ids(key, ids, at, disturbed);
    }

    fn join_refund(
        &mut self,
        key: &ObjectKey,
        disturbed: &mut Disturbed,
        join: impl FnOnce(&mut RefundHistory),
    ) {
        let refund = self.refunds.entry(key.clone()).or_insert_with(|| Refund {
            key: key.clone(),
            history: RefundHistory::default(),
            account: None,
        });
        let before = refund.history.clone();
        join(&mut refund.history);
        if refund.history != before {
            self.changed.refunds.insert(key.clone());
            disturbed.money = true;
        }
    }

    /// Links the ids of a dispute or refund; accounts among them exist from now on. It counts as
    /// one of the ids itself, so that a store finds it from any of them.
    fn join_ids(
        &mut self,
        object: &ObjectKey,
        ids: &BTreeSet<ObjectKey>,
        at: Timestamp,
        disturbed: &mut Disturbed,
    ) {
        let mut tied = ids.clone();
        tied.insert(object.clone());
        disturbed.links |= self.join_payment_links(&tied);
        for account in ids.iter().filter(|id| id.kind == Kind::Account) {
            self.join_account(account, at, disturbed, |_| {});
        }
        disturbed.disputes = true;
    }

    /// Joins a fact to an account, which is created if it does not exist.
    pub(super) fn join_account(
        &mut self,
        key: &ObjectKey,
        at: Timestamp,
        disturbed: &mut Disturbed,
        join: impl FnOnce(&mut AccountHistory),
    ) {
        let is_new = !self.accounts.contains_key(key);
        let account = self.accounts.entry(key.clone());
        let account = account.or_insert_with(|| Account::new(key, at));
        let before = account.history.clone();
        account.history.join_named(at);
        join(&mut account.history);
        disturbed.accounts.insert(key.clone());
        disturbed.named.insert(key.clone());
        if is_new || account.history != before {
            let (was, is) = (linking(&before), linking(&account.history));
            let mut relinked = is_new || was != is;
            let words = &mut disturbed.words;
            if relinked {
                let emails = [was, is].into_iter().flatten().map(|l| l.email.to_owned());
                words.emails.extend(emails);
            }
            // The first account of a seller's id leads the others.
            let seller_id = &account.history.seller_id;
            let first_at = account.history.first_at;
            if *seller_id != before.seller_id || seller_id.is_some() && first_at != before.first_at
            {
                relinked = true;
                let ids = [&before.seller_id, seller_id].into_iter().flatten();
                words.seller_ids.extend(ids.map(|(_, id)| id.clone()));
            }
            if relinked {
                disturbed.relinked.insert(key.clone());
            }
            account.linking_email = is.map(|linking| linking.email.to_owned());
            let (was, is) = (before.address(), account.history.address());
            account.email = is.as_ref().map(|(email, _)| email.clone());
            if was != is {
                let emails = [was, is].into_iter().flatten();
                words.emails.extend(emails.map(|(email, _)| email));
            }
            self.changed.accounts.insert(key.clone());
        }
    }

    /// Merges an event in test mode into the traces of the accounts that it names. Links name
    /// accounts too, but of those only the known ones, which depends on the order.
    pub(super) fn join_test(&mut self, at: Timestamp, origin: Origin, disturbed: &mut Disturbed) {
        for key in disturbed.named.iter().filter(|key| !key.scope.livemode) {
            let Some(account) = self.accounts.get_mut(key) else {
                continue;
            };
            let before = account.history.test.clone();
            account.history.test.join(at, origin);
            if account.history.test != before {
                self.changed.accounts.insert(key.clone());
            }
            // It may count from now on, and have no customer yet.
            if account.history.test.by_test_secret && !before.by_test_secret {
                disturbed.relinked.insert(key.clone());
            }
        }
    }

    /// Joins a fact to a subscription, which owns its payments from now on.
    fn join_subscription(
        &mut self,
        key: &ObjectKey,
        account: Option<&ObjectKey>,
        at: Timestamp,
        disturbed: &mut Disturbed,
        join: impl FnOnce(&mut SubscriptionHistory),
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
                history: SubscriptionHistory::default(),
                account: None,
            });
        let before = subscription.history.clone();
        join(&mut subscription.history);
        let payer = payer(&subscription.history);
        disturbed.accounts.extend(subscription.account.clone());
        disturbed.accounts.extend(payer.clone());
        if is_new || subscription.history != before {
            let moved = subscription.account != payer;
            subscription.account = payer;
            self.changed.subscriptions.insert(key.clone());
            if moved {
                disturbed.disputes = true;
                let own = |payment: &&Payment| payment.subscription.as_ref() == Some(key);
                let own: Vec<_> = self.payments.values().filter(own).collect();
                let own: Vec<_> = own.into_iter().map(|payment| payment.key.clone()).collect();
                for payment in own {
                    self.own_payment(&payment, disturbed);
                }
            }
        }
    }
}
