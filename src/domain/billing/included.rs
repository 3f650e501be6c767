//! The features that a subscription includes, in its assessment.
//!
//! The provider lists them for the account as a whole, so they count through each of its
//! subscriptions. Only features that have a plan are looked at: most features of a seller are about
//! something else than packages, so one without a plan is no mistake and raises no flag.
//!
//! A running subscription gives those of the newest list. When it fails or is paused, the provider
//! takes features from the list too, but whether access goes is for the policy to say: so what was
//! listed before that counts beside the newest. What an ended one leaves is what was listed in its
//! time, until it left the list, as far as any of its prices is paid: of which price a feature is, the
//! list does not say.

use std::collections::BTreeSet;

use super::assessment::{Assessor, Gift, items};
use super::fact::SubscriptionState;
use super::feature::Feature;
use super::history::FeatureHistory;
use crate::domain::access::plan::Price;
use crate::domain::time::Timestamp;

impl Assessor<'_> {
    /// Returns the features that it has as a running subscription.
    fn current_features(&self) -> BTreeSet<Price> {
        let current = self.features.and_then(FeatureHistory::current);
        let listed = current.map(|decided| decided.state.features);
        self.with_plans(listed.unwrap_or_default().iter())
    }

    /// Returns the features that it has as if it were good: those of the newest list unless it has
    /// ended, and those from before it stopped being good.
    pub(super) fn features_as_if_good(&self, ended: Option<Timestamp>) -> BTreeSet<Price> {
        let worse = self.history.trail.first().map(|mark| mark.at);
        let stopped = worse.into_iter().chain(ended).min();
        let before = self.features.zip(stopped);
        let before = before.map(|(features, stopped)| features.before(stopped).features);
        let mut had = self.with_plans(before.unwrap_or_default().iter());
        if ended.is_none() {
            had.extend(self.current_features());
        }
        had
    }

    /// Returns everything that it gives in a state.
    pub(super) fn all_of(&self, state: &SubscriptionState) -> Vec<Gift> {
        let features = match self.history.trail.first() {
            Some(_) => self.features_as_if_good(None),
            None => self.current_features(),
        };
        let mut gifts = items(state, None);
        gifts.extend(
            features
                .into_iter()
                .map(|price| Gift { price, until: None }),
        );
        gifts
    }

    /// Returns what its features leave if it is paid until `paid`, having ended at `ended`.
    pub(super) fn features_left(&self, paid: Timestamp, ended: Timestamp) -> Vec<Gift> {
        let Some(features) = self.features else {
            return Vec::new();
        };
        // One that is known by its end alone had begun before it.
        let before = Timestamp::from_nanos(paid.nanos().saturating_sub(1));
        let began = self.history.began.map_or(before, |began| began.min(before));
        let listed = features.listed(began, paid, ended).into_iter();
        let gifts = listed.map(|(feature, until)| Gift {
            price: Price::from(&feature),
            until: Some(until),
        });
        gifts.filter(|gift| self.has_plan(&gift.price)).collect()
    }

    fn with_plans<'f>(&self, features: impl Iterator<Item = &'f Feature>) -> BTreeSet<Price> {
        let prices = features.map(Price::from);
        prices.filter(|price| self.has_plan(price)).collect()
    }
}
