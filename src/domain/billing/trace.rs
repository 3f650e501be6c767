//! Tracing disputes and refunds to what they are about. They often name no account, only a charge,
//! a payment intent or a transaction; other events name those together with an invoice or the
//! account, before or after.
//!
//! Every two ids that an event names together are a link. The set of links only grows, and what a
//! dispute is about is worked out anew whenever one is added, so the order of arrival does not
//! matter.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{Kind, ObjectKey};

/// The maximum number of links between a dispute's ids and its payment: charge, payment intent,
/// invoice. Beyond that nothing is certain to be the same payment.
const MOST_LINKS: usize = 3;

/// Links between ids, to be followed in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentLinks(BTreeMap<ObjectKey, BTreeSet<ObjectKey>>);

/// The object that a dispute or refund is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The object.
    pub to: TracedTo,
    /// True if others are as near, so that the smallest was chosen.
    pub ambiguous: bool,
}

/// The kinds of objects that a dispute or refund is traced to, the most exact first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TracedTo {
    /// The document of a payment.
    Payment(ObjectKey),
    /// A subscription, of which no payment is known that it could be about.
    Subscription(ObjectKey),
    /// An account, of which no payment is known that it could be about.
    Account(ObjectKey),
}

impl PaymentLinks {
    /// Adds a link. Returns true if it is new.
    pub fn insert(&mut self, one: &ObjectKey, other: &ObjectKey) -> bool {
        let mut link = |from: &ObjectKey, to: &ObjectKey| {
            self.0.entry(from.clone()).or_default().insert(to.clone())
        };
        link(one, other) && link(other, one)
    }

    /// Returns the ids that an id is linked to.
    pub fn of(&self, id: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.0.get(id).into_iter().flatten()
    }

    /// Follows the links from some ids to the nearest payment, as `payment` recognises one; else to
    /// a subscription; else to an account. The search never goes on from an account or a
    /// subscription: beyond them are other payments.
    pub fn trace(
        &self,
        ids: &BTreeSet<ObjectKey>,
        payment: impl Fn(&ObjectKey) -> Option<ObjectKey>,
    ) -> Option<Traced> {
        let mut others = BTreeSet::new();
        let mut seen: BTreeSet<&ObjectKey> = ids.iter().collect();
        let mut edge: Vec<&ObjectKey> = ids.iter().collect();
        for _ in 0..=MOST_LINKS {
            let payments: BTreeSet<_> = edge.iter().filter_map(|id| payment(id)).collect();
            if let Some(nearest) = payments.first() {
                return Some(Traced {
                    to: TracedTo::Payment(nearest.clone()),
                    ambiguous: payments.len() > 1,
                });
            }
            let mut next = Vec::new();
            for id in edge {
                match id.kind {
                    Kind::Account => others.insert(TracedTo::Account(id.clone())),
                    Kind::Subscription => others.insert(TracedTo::Subscription(id.clone())),
                    _ => {
                        next.extend(self.of(id).filter(|id| seen.insert(id)));
                        false
                    }
                };
            }
            edge = next;
        }
        let is_account = |to: &&TracedTo| matches!(to, TracedTo::Account(_));
        let to = others.first()?.clone();
        let same = others
            .iter()
            .filter(|it| is_account(it) == is_account(&&to));
        let ambiguous = same.count() > 1;
        Some(Traced { to, ambiguous })
    }
}
