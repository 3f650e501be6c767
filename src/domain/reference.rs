//! Whose payment was it? Disputes and refunds often name no customer, only a charge, a payment
//! intent or a transaction; other events name those together with the customer, before or after.
//!
//! Looked up whenever ids come, in a set of pairs that only grows, so the order of arrival plays
//! no part.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::is_account;
use super::id::ObjectKey;
use super::reach::is_subscription;
use super::world::{Subscription, World};

/// How many pairs may lie between a dispute's ids and its account: charge, payment intent,
/// invoice, account. Further away nothing is sure to be the same payment.
const MOST_PAIRS: usize = 3;

/// The pairs of a world, to be walked in both directions.
struct Network<'a> {
    neighbours: BTreeMap<&'a ObjectKey, Vec<&'a ObjectKey>>,
    subscriptions: &'a BTreeMap<ObjectKey, Subscription>,
}

impl<'a> Network<'a> {
    fn new(world: &'a World) -> Self {
        let mut neighbours: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (a, b) in &world.references {
            neighbours.entry(a).or_default().push(b);
            neighbours.entry(b).or_default().push(a);
        }
        Self {
            neighbours,
            subscriptions: &world.subscriptions,
        }
    }

    /// The accounts that these ids lead to. A walk ends at an account, and at a subscription,
    /// whose account it takes: past them lie other payments.
    fn accounts(&self, ids: &'a BTreeSet<ObjectKey>) -> BTreeSet<&'a ObjectKey> {
        let mut accounts = BTreeSet::new();
        let mut seen: BTreeSet<&ObjectKey> = ids.iter().collect();
        let mut edge: Vec<&ObjectKey> = ids.iter().collect();
        for _ in 0..=MOST_PAIRS {
            let mut next = Vec::new();
            for id in edge {
                if is_account(id) {
                    accounts.insert(id);
                } else if is_subscription(id) {
                    accounts.extend(self.subscriptions.get(id).and_then(|s| s.account.as_ref()));
                } else {
                    let further = self.neighbours.get(id).into_iter().flatten().copied();
                    next.extend(further.filter(|id| seen.insert(id)));
                }
            }
            edge = next;
        }
        accounts
    }

    /// The account of these ids, and whether they lead to others too.
    fn account(&self, ids: &'a BTreeSet<ObjectKey>) -> (Option<ObjectKey>, bool) {
        let accounts = self.accounts(ids);
        (
            accounts.first().map(|account| (*account).clone()),
            accounts.len() > 1,
        )
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

    /// Looks up the account of every dispute and refund anew. Gives the accounts that gained or
    /// lost one.
    pub(crate) fn relink_disputes(&mut self) -> BTreeSet<ObjectKey> {
        if self.disputes.is_empty() && self.refunds.is_empty() {
            return BTreeSet::new();
        }
        let network = Network::new(self);
        let disputes = self
            .disputes
            .values()
            .map(|d| network.account(&d.kept.ids))
            .collect();
        let refunds = self
            .refunds
            .values()
            .map(|r| network.account(&r.kept.ids))
            .collect();
        let (disputes, refunds): (Vec<_>, Vec<_>) = (disputes, refunds);
        let mut accounts = BTreeSet::new();
        for (dispute, link) in self.disputes.values_mut().zip(disputes) {
            let several = &mut dispute.kept.several_accounts;
            if set_link(&mut dispute.account, several, link, &mut accounts) {
                self.touched.disputes.insert(dispute.key.clone());
            }
        }
        for (refund, link) in self.refunds.values_mut().zip(refunds) {
            let several = &mut refund.kept.several_accounts;
            if set_link(&mut refund.account, several, link, &mut accounts) {
                self.touched.refunds.insert(refund.key.clone());
            }
        }
        accounts
    }
}

fn set_link(
    account: &mut Option<ObjectKey>,
    several: &mut bool,
    link: (Option<ObjectKey>, bool),
    accounts: &mut BTreeSet<ObjectKey>,
) -> bool {
    if (&*account, &*several) == (&link.0, &link.1) {
        return false;
    }
    accounts.extend(account.take());
    accounts.extend(link.0.clone());
    (*account, *several) = link;
    true
}
