//! What the payments of a subscription have paid for, price by price.
//!
//! A line pays for a period of its price, and a credit takes a period back: the credit of a plan
//! change takes back the rest of the old price's period. Both are for a quantity: a credit for two of
//! ten seats leaves eight paid. So a price is paid at a moment at which more of it was paid for
//! than was credited.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::access::plan::Price;
use crate::domain::billing::payment::Payment;
use crate::domain::time::Timestamp;

/// Periods of time, each from its start until before its end, in order and apart.
type Periods = Vec<(Timestamp, Timestamp)>;

/// The paid periods of each price.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    periods: BTreeMap<Price, Periods>,
}

impl Coverage {
    /// Works out what payments cover. `had` are the prices of the subscription: lines of Stripe's
    /// versions since 2025-03-31 name a price by its id alone, without its `lookup_key`.
    pub fn new<'a>(payments: impl Iterator<Item = &'a Payment<'a>>, had: &BTreeSet<Price>) -> Self {
        let mut coverage = Self::default();
        // By price, the changes in how often it is covered.
        let mut changes: BTreeMap<&str, (Price, BTreeMap<Timestamp, i64>)> = BTreeMap::new();
        for line in payments.flat_map(|payment| &payment.lines) {
            let (Some(start), Some(end), false) = (line.start, line.end, line.once) else {
                continue;
            };
            let price = Price::from(*line);
            let new = || (price.clone(), BTreeMap::new());
            let (known, changes) = changes.entry(&line.price).or_insert_with(new);
            // Lines of old versions name the product, later ones may not.
            known.product = known.product.take().max(price.product);
            known.lookup_key = known.lookup_key.take().max(price.lookup_key);
            let quantity = line.quantity.unwrap_or(1);
            let covers = line.amount.signum().saturating_mul(quantity);
            let starts = changes.entry(start).or_default();
            *starts = starts.saturating_add(covers);
            let ends = changes.entry(end.max(start)).or_default();
            *ends = ends.saturating_sub(covers);
        }
        for (mut price, changes) in changes.into_values() {
            for known in had.iter().filter(|known| known.price == price.price) {
                price.product = price.product.max(known.product.clone());
                price.lookup_key = price.lookup_key.max(known.lookup_key.clone());
            }
            let periods = covered(&changes);
            if !periods.is_empty() {
                coverage.periods.insert(price, periods);
            }
        }
        coverage
    }

    /// Returns each paid price with the moment until which it is paid.
    pub fn paid_until(&self) -> impl Iterator<Item = (&Price, Timestamp)> {
        let periods = self.periods.iter();
        periods.filter_map(|(price, periods)| Some((price, periods.last()?.1)))
    }

    /// Returns the time between two moments that any price is paid for.
    pub fn paid_time(&self, from: Timestamp, to: Timestamp) -> Duration {
        let mut all: Periods = self.periods.values().flatten().copied().collect();
        all.sort_unstable();
        let mut reached = from;
        let mut nanos = 0_u64;
        for (start, end) in all {
            let (start, end) = (start.max(reached), end.min(to));
            if start < end {
                nanos = nanos.saturating_add(end.nanos().abs_diff(start.nanos()));
                reached = end;
            }
        }
        Duration::from_nanos(nanos)
    }
}

/// Returns the periods in which a price is covered by more payments than credits.
fn covered(changes: &BTreeMap<Timestamp, i64>) -> Periods {
    let mut periods = Periods::new();
    let (mut depth, mut since) = (0_i64, None);
    for (at, change) in changes {
        depth = depth.saturating_add(*change);
        match (since, depth > 0) {
            (None, true) => since = Some(*at),
            (Some(start), false) => {
                periods.push((start, *at));
                since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    periods
}
