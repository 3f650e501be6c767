//! The payments of a working set: documents of one payment put together, with the disputes and refunds
//! that are about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::apply::working_set::{Dispute, Refund, WorkingSet};
use crate::domain::billing::history::PaymentHistory;
use crate::domain::billing::payment::{Of, Payment};
use crate::domain::billing::trace::{Traced, TracedTo};
use crate::domain::id::{Kind, ObjectKey};

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
        let all = working_set.payments_by(|account| accounts.contains(account).then_some(()));
        let mut payments = Self {
            all: all.into_iter().map(|((key, ()), it)| (key, it)).collect(),
            ..Self::default()
        };
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
                payment.disputes.push(Of {
                    key: &dispute.key,
                    history: &dispute.history,
                });
            }
            payments.disputes.push((dispute, traced));
        }
        for refund in working_set.refunds.values().filter(|it| owned(&it.account)) {
            let traced = working_set.trace(&refund.history.ids);
            if let Some(payment) = payments.traced(traced.as_ref()) {
                payment.refunds.push(Of {
                    key: &refund.key,
                    history: &refund.history,
                });
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

impl WorkingSet {
    /// Puts together the documents of each payment whose accounts have the same owner, and leaves out those
    /// of accounts without one. Documents of one payment can name accounts of different customers: each
    /// customer is judged by his own.
    pub(crate) fn payments_by<O: Ord>(
        &self,
        owner: impl Fn(&ObjectKey) -> Option<O>,
    ) -> BTreeMap<(ObjectKey, O), Payment<'_>> {
        let mut payments = BTreeMap::new();
        for document in self.payments.values() {
            let Some(owner) = document.account.as_ref().and_then(&owner) else {
                continue;
            };
            let key = self.document_of(&document.key);
            let new = || Payment {
                key: key.clone(),
                history: PaymentHistory::new(document.history.newest),
                lines: Vec::new(),
                lines_incomplete: false,
                has_unpriced_items: false,
                refunds: Vec::new(),
                disputes: Vec::new(),
            };
            let payment = payments.entry((key.clone(), owner)).or_insert_with(new);
            payment.history.merge(&document.history);
            if let Some(lines) = &document.history.lines {
                payment.lines.extend(&lines.all);
                payment.lines_incomplete |= lines.incomplete;
                payment.has_unpriced_items |= lines.has_unpriced_items;
            }
        }
        payments
    }

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
