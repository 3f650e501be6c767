//! The history of a payment's document.
//!
//! A payment is never dropped: a late fact of a forgotten document would count in one order of
//! arrival only. There is one a period, about 120 in ten years of months.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::access::plan::Price;
use crate::domain::billing::fact::{Line, PaymentFact, PaymentStep};
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// The history of a payment's document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentHistory {
    /// The newest instant of any fact.
    pub newest: Timestamp,
    /// The account of the newest fact that names one; of one instant the greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<(Timestamp, ObjectKey)>,
    /// The subscription of the newest fact that names one; of one instant the greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<(Timestamp, ObjectKey)>,
    /// The reason of the newest fact that names one; of one instant the greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<(Timestamp, String)>,
    /// The oldest payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Paid>,
    /// The newest instant at which it was paid, if it was paid more than once: a debit that a bank took
    /// back is collected again under the same document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_again: Option<Timestamp>,
    /// Failed tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
    /// The oldest instant at which it would not be collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void_at: Option<Timestamp>,
    /// The lines of the newest fact that shows any; of one instant the greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines>,
    /// The prices that it was ever seen to buy once, each with the newest instant of a fact that shows
    /// it: see [`PaymentHistory::bought`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub carried: BTreeSet<(Price, Timestamp)>,
}

/// The payment of a document. Of one instant the greatest amounts count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// The oldest instant.
    pub at: Timestamp,
    /// The money that was paid, in the currency's smallest unit.
    pub money: i64,
    /// The amount that it was for.
    pub cost: i64,
}

/// The failed tries to collect a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The oldest instant.
    pub first: Timestamp,
    /// The newest instant.
    pub last: Timestamp,
    /// The next try as the newest fact names it; of one instant the greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Timestamp>,
}

/// The lines of one fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lines {
    /// Provider time.
    pub at: Timestamp,
    /// The lines, as the provider sorts them.
    pub all: Vec<Line>,
    /// True if the document has more lines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// True if there is a line for something bought once that names no price.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_unpriced_items: bool,
}

impl PaymentHistory {
    /// Creates the history of a document that an event of this instant names.
    pub const fn new(at: Timestamp) -> Self {
        Self {
            newest: at,
            account: None,
            subscription: None,
            reason: None,
            paid: None,
            paid_again: None,
            failed: None,
            void_at: None,
            lines: None,
            carried: BTreeSet::new(),
        }
    }

    /// True if everything that it shows was bought once, also where that was charged to a subscription.
    pub fn is_for_purchases_alone(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| {
            let shows_any = !lines.all.is_empty() || lines.has_unpriced_items;
            shows_any && lines.all.iter().all(|line| line.once)
        })
    }

    /// Merges an event that shows the payment.
    pub fn join(&mut self, at: Timestamp, fact: &PaymentFact) {
        self.newest = self.newest.max(at);
        join_newest(&mut self.account, at, fact.account.as_ref());
        join_newest(&mut self.subscription, at, fact.subscription.as_ref());
        join_newest(&mut self.reason, at, fact.reason.as_ref());
        if !fact.lines.is_empty() || fact.has_unpriced_items {
            let lines = Lines {
                at,
                all: fact.lines.clone(),
                incomplete: fact.lines_incomplete,
                has_unpriced_items: fact.has_unpriced_items,
            };
            self.lines = self.lines.take().max(Some(lines));
        }
        let carried = fact.lines.iter();
        for line in carried.filter(|line| line.once && line.amount >= 0) {
            self.carry(&Price::from(line), at);
        }
        match fact.step {
            PaymentStep::Known => {}
            PaymentStep::Paid { money, cost } => self.join_paid(Paid { at, money, cost }),
            PaymentStep::Failed { next_attempt } => self.join_failed(Failed {
                first: at,
                last: at,
                next_attempt,
            }),
            PaymentStep::Void => {
                self.void_at = Some(self.void_at.map_or(at, |known| known.min(at)));
            }
        }
    }

    /// Merges the history of another document of the same payment.
    pub fn merge(&mut self, other: &Self) {
        self.newest = self.newest.max(other.newest);
        self.account = self.account.take().max(other.account.clone());
        self.subscription = self.subscription.take().max(other.subscription.clone());
        self.reason = self.reason.take().max(other.reason.clone());
        if let Some(paid) = other.paid {
            self.join_paid(paid);
        }
        self.paid_again = self.paid_again.max(other.paid_again);
        if let Some(failed) = other.failed {
            self.join_failed(failed);
        }
        self.void_at = self.void_at.into_iter().chain(other.void_at).min();
        for (price, at) in &other.carried {
            self.carry(price, *at);
        }
    }

    /// Returns the prices that it bought once: a licence of each stays, whatever order the facts came
    /// in. What was shown before it was paid alone was taken out of the cart again.
    pub fn bought(&self) -> impl Iterator<Item = &Price> {
        let paid = self.paid;
        let carried = self.carried.iter();
        let bought = carried.filter(move |(_, at)| paid.is_some_and(|paid| paid.at <= *at));
        bought.map(|(price, _)| price)
    }

    /// Returns the instants at which it was paid: the oldest, and the newest.
    pub fn paid_at(&self) -> impl Iterator<Item = Timestamp> {
        let first = self.paid.map(|paid| paid.at);
        first.into_iter().chain(self.paid_again)
    }

    /// Notes that a fact shows a price that is bought once.
    fn carry(&mut self, price: &Price, at: Timestamp) {
        let known = self.carried.iter().find(|(known, _)| known == price);
        match known.cloned() {
            Some((_, newest)) if newest >= at => return,
            Some(older) => {
                self.carried.remove(&older);
            }
            None => {}
        }
        self.carried.insert((price.clone(), at));
    }

    fn join_paid(&mut self, paid: Paid) {
        if let Some(known) = self.paid.filter(|known| known.at != paid.at) {
            let newer = known.at.max(paid.at);
            self.paid_again = self.paid_again.max(Some(newer));
        }
        let rank = |paid: &Paid| (std::cmp::Reverse(paid.at), paid.money, paid.cost);
        self.paid = self.paid.into_iter().chain([paid]).max_by_key(rank);
    }

    fn join_failed(&mut self, failed: Failed) {
        let known = self.failed.unwrap_or(failed);
        let newest = (known.last, known.next_attempt).max((failed.last, failed.next_attempt));
        self.failed = Some(Failed {
            first: known.first.min(failed.first),
            last: newest.0,
            next_attempt: newest.1,
        });
    }
}

fn join_newest<T: Ord + Clone>(known: &mut Option<(Timestamp, T)>, at: Timestamp, new: Option<&T>) {
    if let Some(new) = new {
        *known = known.take().max(Some((at, new.clone())));
    }
}
