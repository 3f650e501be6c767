//! A payment as it stands: its documents put together, what was given back of it, and which disputes
//! are about it.

use std::collections::BTreeMap;

use crate::domain::access::plan::Price;
use crate::domain::billing::fact::{DisputeStage, Line};
use crate::domain::billing::history::{DisputeHistory, Paid, PaymentHistory, RefundHistory};
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
    /// True if a document has a line for something bought once that names no price.
    pub has_unpriced_items: bool,
    /// Its refunds, and its charges' counts of them.
    pub refunds: Vec<Of<'a, RefundHistory>>,
    /// The disputes about it.
    pub disputes: Vec<Of<'a, DisputeHistory>>,
}

/// A dispute or refund of a payment.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a, H> {
    /// Provider's id.
    pub key: &'a ObjectKey,
    /// The history.
    pub history: &'a H,
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

    /// True unless everything that it is for was bought once: such a purchase is a source of its own,
    /// also if it was charged to a subscription.
    pub fn pays_for_subscription(&self) -> bool {
        let is_empty = self.lines.is_empty() && !self.has_unpriced_items;
        self.subscription().is_some() && (is_empty || self.lines.iter().any(|line| !line.once))
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
    /// what its charges counted, less what failed since. Both tell of the same money, of each charge, and
    /// one charge may be told of in the one way and one in the other.
    pub fn given_back(&self) -> i64 {
        let sum = |amounts: &mut dyn Iterator<Item = i64>| amounts.fold(0, i64::saturating_add);
        let told = sum(&mut self.refunds.iter().map(|it| it.history.given_back()));
        let charges = self.refunds.iter().filter_map(|charge| {
            let (at, amount) = charge.history.counted?;
            let mut told = 0_i64;
            let mut counted = amount;
            for it in &self.refunds {
                let ids = &it.history.ids;
                let names_it = ids.contains(charge.key);
                if names_it {
                    told = told.saturating_add(it.history.given_back());
                }
                let names_no_charge = !ids.iter().any(|id| id.kind == Kind::Charge);
                if it.history.failed_at > Some(at) && (names_it || names_no_charge) {
                    let failed = it.history.stage.map_or(0, |(_, _, amount)| amount);
                    counted = counted.saturating_sub(failed);
                }
            }
            Some((charge.key, told.max(counted)))
        });
        let charges: BTreeMap<&ObjectKey, i64> = charges.collect();
        // Those of charges that count nothing.
        let others = self.refunds.iter().filter(|it| {
            let ids = it.history.ids.iter();
            let mut of = ids.filter(|id| id.kind == Kind::Charge).peekable();
            of.peek().is_some() && !of.any(|id| charges.contains_key(id))
        });
        let others = sum(&mut others.map(|it| it.history.given_back()));
        told.max(sum(&mut charges.values().copied()).saturating_add(others))
    }

    /// True if a line says which period it pays for.
    pub fn shows_periods(&self) -> bool {
        let mut lines = self.lines.iter().filter(|line| !line.once);
        lines.any(|line| line.start.is_some() && line.end.is_some())
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

    /// Returns since when all that was paid for a price bought once is given back: all of the payment, or each
    /// line of the price, by refunds that name it. `None` if it is not.
    pub fn price_given_back_at(&self, price: &Price) -> Option<Timestamp> {
        if self.is_given_back() {
            return self.given_back_at();
        }
        let mut at = None;
        for line in self.lines.iter().filter(|line| line.once) {
            if Price::from(*line).price != price.price {
                continue;
            }
            let id = line.id.as_deref()?;
            let named = self.refunds.iter().map(|it| it.history);
            let named = named.filter(|it| it.given_back_for(id) > 0);
            let amounts = named.clone().map(|it| it.given_back_for(id));
            if amounts.fold(0, i64::saturating_add) < line.amount.max(1) {
                return None;
            }
            at = at.max(named.filter_map(RefundHistory::newest).max());
        }
        at
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
