//! Whose payment was it? Disputes and refunds often name no customer, only a charge, a payment
//! intent or a transaction; other events name those together with the customer, before or after.
//!
//! Looked up whenever ids come, in a set of pairs that only grows, so the order of arrival plays
//! no part.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::is_account;
use super::id::ObjectKey;
use super::reach::is_subscription;
use super::world::World;

/// How many pairs may lie between a dispute's ids and its account: charge, payment intent,
/// invoice, account. Further away nothing is sure to be the same payment.
const MOST_PAIRS: usize = 3;

/// The pairs of a world, to be walked in both directions.
struct Network<'a>(BTreeMap<&'a ObjectKey, Vec<&'a ObjectKey>>);

impl<'a> Network<'a> {
    fn new(world: &'a World) -> Self {
        let mut neighbours: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (a, b) in &world.references {
            neighbours.entry(a).or_default().push(b);
            neighbours.entry(b).or_default().push(a);
        }
        Self(neighbours)
    }

    /// The accounts that these ids lead to. A walk ends at an account and at a subscription:
    /// past them lie other payments.
    fn accounts(&self, ids: &'a BTreeSet<ObjectKey>) -> BTreeSet<&'a ObjectKey> {
        let mut accounts = BTreeSet::new();
        let mut seen: BTreeSet<&ObjectKey> = ids.iter().collect();
        let mut edge: Vec<&ObjectKey> = ids.iter().collect();
        for _ in 0..=MOST_PAIRS {
            let mut next = Vec::new();
            for id in edge {
                if is_account(id) {
                    accounts.insert(id);
                } else if !is_subscription(id) {
                    let further = self.0.get(id).into_iter().flatten().copied();
                    next.extend(further.filter(|id| seen.insert(id)));
                }
            }
            edge = next;
        }
        accounts
    }
}

impl World {
    /// Notes that one event named these ids together. Says whether anything is new.
    pub(crate) fn join_references(&mut self, ids: &BTreeSet<ObjectKey>) -> bool {
        let mut new = false;
        for (i, a) in ids.iter().enumerate() {
            for b in ids.iter().skip(i + 1) {
                let pair = (a.clone(), b.clone());
                if self.references.insert(pair.clone()) {
                    self.touched.references.insert(pair);
                    new = true;
                }
            }
        }
        new
    }

    /// Looks for accounts of every dispute and refund anew. Gives the accounts that gained or
    /// lost one.
    pub(crate) fn relink_disputes(&mut self) -> BTreeSet<ObjectKey> {
        if self.disputes.is_empty() && self.refunds.is_empty() {
            return BTreeSet::new();
        }
        let network = Network::new(self);
        let disputes = self
            .disputes
            .values()
            .map(|d| network.accounts(&d.kept.ids));
        let disputes: Vec<_> = disputes.map(owned).collect();
        let refunds = self.refunds.values().map(|r| network.accounts(&r.kept.ids));
        let refunds: Vec<_> = refunds.map(owned).collect();
        let mut changed = BTreeSet::new();
        for (dispute, found) in self.disputes.values_mut().zip(disputes) {
            let accounts = &mut dispute.kept.accounts;
            if link(&mut dispute.account, accounts, found, &mut changed) {
                self.touched.disputes.insert(dispute.key.clone());
            }
        }
        for (refund, found) in self.refunds.values_mut().zip(refunds) {
            let accounts = &mut refund.kept.accounts;
            if link(&mut refund.account, accounts, found, &mut changed) {
                self.touched.refunds.insert(refund.key.clone());
            }
        }
        changed
    }
}

fn owned(keys: BTreeSet<&ObjectKey>) -> BTreeSet<ObjectKey> {
    keys.into_iter().cloned().collect()
}

/// Adds accounts to those of a dispute or refund, which belongs to the smallest.
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
