//! Payments as they stand: the documents of one payment put together, what was given back of it,
//! and which disputes are about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::apply::working_set::{Dispute, Refund, WorkingSet};
use crate::domain::billing::fact::{DisputeStage, Line};
use crate::domain::billing::history::{Paid, PaymentHistory};
use crate::domain::billing::trace::{Traced, TracedTo};
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::time::Timestamp;

/// The reasons of renewals, in the providers' words: Stripe's `billing_reason`, Paddle's `origin`.
const RENEWALS: [&str; 2] = ["subscription_cycle", "subscription_recurring"];

/// A payment.
#[derive(Clone, Debug)]
pub struct Payment<'a> {
    /// Its document: of several the invoice, else the payment intent.
    pub key: ObjectKey,
    /// The histories of its documents, merged.
    pub history: PaymentHistory,
    /// The lines of its documents.
    pub lines: Vec<&'a Line>,
    /// True if a document has more lines than are known.
    pub lines_incomplete: bool,
    /// Its refunds, and its charges' counts of them.
    pub refunds: Vec<&'a Refund>,
    /// The disputes about it.
    pub disputes: Vec<&'a Dispute>,
}

/// The payments of some accounts.
#[derive(Clone, Debug, Default)]
pub struct Payments<'a> {
    /// The payments, by document.
    pub all: BTreeMap<ObjectKey, Payment<'a>>,
    /// The documents of each subscription's payments: a customer can have thousands of both.
    of_subscriptions: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// Disputes and refunds of these accounts, with what they are about.
    pub disputes: Vec<(&'a Dispute, Option<Traced>)>,
    /// Refunds and charges' counts, with what they are about.
    pub refunds: Vec<(&'a Refund, Option<Traced>)>,
}

impl<'a> Payments<'a> {
    /// Collects the payments of some accounts.
    pub fn of(working_set: &'a WorkingSet, accounts: &BTreeSet<&ObjectKey>) -> Self {
        let owned = |account: &Option<ObjectKey>| {
            account.as_ref().is_some_and(|key| accounts.contains(key))
        };
        let mut payments = Self::default();
        for document in working_set
            .payments
            .values()
            .filter(|it| owned(&it.account))
        {
            let key = working_set.document_of(&document.key);
            let new = || Payment {
                key: key.clone(),
                history: PaymentHistory::new(document.history.newest),
                lines: Vec::new(),
                lines_incomplete: false,
                refunds: Vec::new(),
                disputes: Vec::new(),
            };
            let payment = payments.all.entry(key.clone()).or_insert_with(new);
            payment.history.merge(&document.history);
            if let Some(lines) = &document.history.lines {
                payment.lines.extend(&lines.all);
                payment.lines_incomplete |= lines.incomplete;
            }
        }
        for payment in payments.all.values() {
            if let Some(subscription) = payment.subscription() {
                let documents = payments.of_subscriptions.entry(subscription.clone());
                documents.or_default().insert(payment.key.clone());
            }
        }
        for dispute in working_set
            .disputes
            .values()
            .filter(|it| owned(&it.account))
        {
            let traced = working_set.trace(&dispute.history.ids);
            if let Some(payment) = payments.traced(traced.as_ref()) {
                payment.disputes.push(dispute);
            }
            payments.disputes.push((dispute, traced));
        }
        for refund in working_set.refunds.values().filter(|it| owned(&it.account)) {
            let traced = working_set.trace(&refund.history.ids);
            if let Some(payment) = payments.traced(traced.as_ref()) {
                payment.refunds.push(refund);
            }
            payments.refunds.push((refund, traced));
        }
        payments
    }

    /// Returns the payments of a subscription, by document.
    pub fn of_subscription<'s>(
        &'s self,
        subscription: &ObjectKey,
    ) -> impl Iterator<Item = &'s Payment<'a>> + use<'s, 'a> {
        let documents = self.of_subscriptions.get(subscription);
        let documents = documents.into_iter().flatten();
        documents.filter_map(|document| self.all.get(document))
    }

    fn traced(&mut self, traced: Option<&Traced>) -> Option<&mut Payment<'a>> {
        match &traced?.to {
            TracedTo::Payment(key) => self.all.get_mut(key),
            TracedTo::Subscription(_) | TracedTo::Account(_) => None,
        }
    }
}

impl Payment<'_> {
    /// The account that paid.
    pub fn account(&self) -> Option<&ObjectKey> {
        self.history.account.as_ref().map(|(_, key)| key)
    }

    /// The subscription that it is about.
    pub fn subscription(&self) -> Option<&ObjectKey> {
        self.history.subscription.as_ref().map(|(_, key)| key)
    }

    /// The first time at which it was paid, with the amounts.
    pub const fn paid(&self) -> Option<Paid> {
        self.history.paid
    }

    /// True if it was billed for another period of its subscription.
    pub fn is_renewal(&self) -> bool {
        let reason = self.history.reason.as_ref();
        reason.is_some_and(|(_, reason)| RENEWALS.contains(&reason.as_str()))
    }

    /// Returns the amount that was given back: what refunds with ids of their own sum up to, or
    /// what its charges counted, less what failed since. Both tell of the same money.
    pub fn given_back(&self) -> i64 {
        let told = self.refunds.iter().map(|it| it.history.given_back());
        let told = told.fold(0_i64, i64::saturating_add);
        let counted = self.refunds.iter().filter_map(|charge| {
            let (at, amount) = charge.history.counted?;
            let failed_since = self.refunds.iter().filter(|it| {
                let ids = &it.history.ids;
                let names_no_charge = !ids.iter().any(|id| id.kind == Kind::Charge);
                it.history.failed_at > Some(at) && (ids.contains(&charge.key) || names_no_charge)
            });
            let failed = failed_since.filter_map(|it| Some(it.history.stage?.2));
            Some(amount.saturating_sub(failed.fold(0, i64::saturating_add)))
        });
        told.max(counted.fold(0, i64::saturating_add))
    }

    /// Returns the newest instant of a refund of it.
    pub fn given_back_at(&self) -> Option<Timestamp> {
        let standing = self.refunds.iter().filter(|it| it.history.stands());
        standing.filter_map(|it| it.history.newest()).max()
    }

    /// True if all of it was given back.
    pub fn is_given_back(&self) -> bool {
        let paid = self.paid().filter(|paid| paid.money > 0);
        paid.is_some_and(|paid| self.given_back() >= paid.money)
    }

    /// True if a dispute about it was lost.
    pub fn is_lost(&self) -> bool {
        let mut stages = self.disputes.iter().map(|it| it.history.stage.1);
        stages.any(|stage| stage == DisputeStage::Lost)
    }

    /// True if it was paid for something that costs anything, and the money is still the seller's.
    /// A free document counts for nothing.
    pub fn counts(&self, though_lost: bool) -> bool {
        let Some(paid) = self.paid() else {
            return false;
        };
        let worth = paid.cost > 0 || self.lines.iter().any(|line| line.amount > 0);
        worth && self.stands(though_lost)
    }

    /// True if it was paid, and neither given back in full nor lost.
    pub fn stands(&self, though_lost: bool) -> bool {
        self.paid().is_some() && !self.is_given_back() && (though_lost || !self.is_lost())
    }
}

impl WorkingSet {
    /// Returns the document under which a payment is known: a Checkout session or payment intent
    /// that is linked to a known invoice is the invoice's, and a session that is linked to a known
    /// payment intent is that one's.
    pub(crate) fn document_of(&self, key: &ObjectKey) -> ObjectKey {
        let known = |kind: Kind| {
            let linked = self.payment_links.of(key);
            let mut linked = linked.filter(move |id| id.kind == kind);
            linked.find(|id| self.payments.contains_key(id)).cloned()
        };
        match key.kind {
            Kind::Session => known(Kind::Invoice).or_else(|| {
                let intent = known(Kind::PaymentIntent)?;
                Some(self.document_of(&intent))
            }),
            Kind::PaymentIntent => known(Kind::Invoice),
            _ => None,
        }
        .unwrap_or_else(|| key.clone())
    }

    /// Follows links from some ids to what a dispute or refund with them is about.
    pub(crate) fn trace(&self, ids: &BTreeSet<ObjectKey>) -> Option<Traced> {
        self.payment_links.trace(ids, |id| {
            let known = self.payments.contains_key(id);
            known.then(|| self.document_of(id))
        })
    }
}
