//! Payment links: tracing a payment to its account. Disputes and refunds often name no account,
//! only a charge, a payment intent or a transaction; other events name those together with the
//! account, before or after.
//!
//! Every two ids that an event names together are a link. The set of links only grows, and accounts
//! are looked up again whenever ids are added, so the order of arrival does not matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::{Kind, ObjectKey};

/// The maximum number of links between a dispute's ids and its account: charge, payment intent,
/// invoice, account. Beyond that nothing is certain to be the same payment.
const MOST_LINKS: usize = 3;

/// The payment links of a working set, to be followed in both directions.
struct Network<'a>(BTreeMap<&'a ObjectKey, Vec<&'a ObjectKey>>);

impl<'a> Network<'a> {
    fn new(working_set: &'a WorkingSet) -> Self {
        let mut neighbours: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (a, b) in &working_set.payment_links {
            neighbours.entry(a).or_default().push(b);
            neighbours.entry(b).or_default().push(a);
        }
        Self(neighbours)
    }

    /// Returns the accounts that these ids lead to. The search stops at accounts and subscriptions:
    /// beyond them are other payments.
    fn accounts(&self, ids: &'a BTreeSet<ObjectKey>) -> BTreeSet<&'a ObjectKey> {
        let mut accounts = BTreeSet::new();
        let mut seen: BTreeSet<&ObjectKey> = ids.iter().collect();
        let mut edge: Vec<&ObjectKey> = ids.iter().collect();
        for _ in 0..=MOST_LINKS {
            let mut next = Vec::new();
            for id in edge {
                if id.kind == Kind::Account {
                    accounts.insert(id);
                } else if id.kind != Kind::Subscription {
                    let further = self.0.get(id).into_iter().flatten().copied();
                    next.extend(further.filter(|id| seen.insert(id)));
                }
            }
            edge = next;
        }
        accounts
    }
}

impl WorkingSet {
    /// Links ids that one event named together. Returns true if any link is new.
    pub(crate) fn join_payment_links(&mut self, ids: &BTreeSet<ObjectKey>) -> bool {
        let mut new = false;
        for (i, a) in ids.iter().enumerate() {
            for b in ids.iter().skip(i + 1) {
                let link = (a.clone(), b.clone());
                if self.payment_links.insert(link.clone()) {
                    self.changed.payment_links.insert(link);
                    new = true;
                }
            }
        }
        new
    }

    /// Looks up the accounts of every dispute and refund again. Returns the accounts that gained or
    /// lost one.
    pub(crate) fn relink_disputes(&mut self) -> BTreeSet<ObjectKey> {
        if self.disputes.is_empty() && self.refunds.is_empty() {
            return BTreeSet::new();
        }
        let network = Network::new(self);
        let disputes = self
            .disputes
            .values()
            .map(|d| network.accounts(&d.history.ids));
        let disputes: Vec<_> = disputes.map(owned).collect();
        let refunds = self
            .refunds
            .values()
            .map(|r| network.accounts(&r.history.ids));
        let refunds: Vec<_> = refunds.map(owned).collect();
        let mut changed = BTreeSet::new();
        for (dispute, found) in self.disputes.values_mut().zip(disputes) {
            let accounts = &mut dispute.history.accounts;
            if link(&mut dispute.account, accounts, found, &mut changed) {
                self.changed.disputes.insert(dispute.key.clone());
            }
        }
        for (refund, found) in self.refunds.values_mut().zip(refunds) {
            let accounts = &mut refund.history.accounts;
            if link(&mut refund.account, accounts, found, &mut changed) {
                self.changed.refunds.insert(refund.key.clone());
            }
        }
        changed
    }
}

fn owned(keys: BTreeSet<&ObjectKey>) -> BTreeSet<ObjectKey> {
    keys.into_iter().cloned().collect()
}

/// Adds accounts to a dispute or refund, which belongs to the smallest of its accounts.
fn link(
    account: &mut Option<ObjectKey>,
    accounts: &mut BTreeSet<ObjectKey>,
    found: BTreeSet<ObjectKey>,
    changed: &mut BTreeSet<ObjectKey>,
) -> bool {
    let known = accounts.len();
    accounts.extend(found);
    if accounts.len() == known {
        return false;
    }
    changed.extend(account.take());
    *account = accounts.first().cloned();
    changed.extend(account.clone());
    true
}
