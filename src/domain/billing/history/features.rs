//! The history of the features of a billing account.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::billing::feature::{Feature, FeatureList, FeaturesFact};
use crate::domain::billing::newest::Newest;
use crate::domain::billing::tie_break::{Decision, Observation};
use crate::domain::time::Timestamp;

/// The number of instants that are kept. What an ended subscription leaves depends on the lists of its
/// time, so more than the newest is needed; this is several years of changes, and a bound, because the
/// history is written with each change of its account. The newest of any set of facts are the same in
/// any order, so what falls out does too.
const KEPT: usize = 50;

/// The lists of an account's features.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureHistory(Newest<FeatureList, KEPT>);

impl FeatureHistory {
    /// Merges an event that lists the features.
    pub fn join(&mut self, at: Timestamp, fact: &FeaturesFact) {
        let observation = Observation {
            state: fact.list.clone(),
            before: fact.before.clone(),
            created: false,
            request: fact.request.clone(),
        };
        self.0.join(at, observation);
    }

    /// True if no list was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the newest instant of a list.
    pub fn newest(&self) -> Option<Timestamp> {
        self.0.newest()
    }

    /// Returns the newest list.
    pub fn current(&self) -> Option<Decision<FeatureList>> {
        self.0.decide()
    }

    /// True if this list is what the account is known to have. Of one of which no list was seen, that is
    /// none.
    pub fn settles_on(&self, list: &FeatureList) -> bool {
        match self.current() {
            Some(current) => !current.ambiguous && current.state == *list,
            None => list.features.is_empty(),
        }
    }

    /// Returns all features that were ever listed.
    pub fn all(&self) -> BTreeSet<Feature> {
        let lists = self.0.observations().map(|it| &it.state.features);
        lists.flatten().cloned().collect()
    }

    /// Returns the features that were listed just before a moment.
    pub fn before(&self, moment: Timestamp) -> FeatureList {
        let decided = self.0.decide_before(moment);
        decided.map(|decided| decided.state).unwrap_or_default()
    }

    /// Returns the features that were listed at any time between two moments, each with the last of
    /// these moments at which it was. A feature that left the list at `kept_from` or later counts as
    /// listed until `to`: what ended then took it along.
    pub fn listed(
        &self,
        from: Timestamp,
        to: Timestamp,
        kept_from: Timestamp,
    ) -> BTreeMap<Feature, Timestamp> {
        let mut listed = BTreeMap::new();
        let mut instants = self.0.instants().peekable();
        while let Some(at) = instants.next() {
            let next = instants.peek().copied();
            let until = next.filter(|next| *next < kept_from).unwrap_or(to).min(to);
            if at >= to || until <= from {
                continue;
            }
            let list = self.0.decide_at(at).map(|decided| decided.state);
            for feature in list.unwrap_or_default().features {
                // The lists are in the order of time.
                listed.insert(feature, until);
            }
        }
        listed
    }
}
