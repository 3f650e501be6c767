//! The facts of an object's newest instants.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use serde::{Deserialize, Serialize};

use super::tie_break::{Decision, Observation, TieBreak, decide};
use crate::domain::time::Timestamp;

/// The observations of the newest instants, of which `KEPT` are kept; at least two, because the second
/// newest tells where the walk of the newest began, if that walk is a circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Newest<S: Ord, const KEPT: usize = 2>(BTreeMap<Timestamp, BTreeSet<Observation<S>>>);

impl<S: Ord, const KEPT: usize> Default for Newest<S, KEPT> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: TieBreak, const KEPT: usize> Newest<S, KEPT> {
    pub(crate) fn join(&mut self, at: Timestamp, observation: Observation<S>) {
        self.0.entry(at).or_default().insert(observation);
        while self.0.len() > KEPT {
            self.0.pop_first();
        }
    }

    /// True if nothing was observed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the newest instant.
    pub fn newest(&self) -> Option<Timestamp> {
        self.0.keys().next_back().copied()
    }

    /// Returns the state at the end of the newest instant.
    pub fn decide(&self) -> Option<Decision<S>> {
        self.decide_among(..)
    }

    /// Returns the state at the end of an instant, or of the newest before it.
    pub fn decide_at(&self, at: Timestamp) -> Option<Decision<S>> {
        self.decide_among(..=at)
    }

    /// Returns the state just before a moment.
    pub fn decide_before(&self, moment: Timestamp) -> Option<Decision<S>> {
        self.decide_among(..moment)
    }

    /// Returns the instants, oldest first.
    pub fn instants(&self) -> impl Iterator<Item = Timestamp> {
        self.0.keys().copied()
    }

    /// Returns all observations, oldest first.
    pub fn observations(&self) -> impl Iterator<Item = &Observation<S>> {
        self.0.values().flatten()
    }

    fn decide_among(&self, range: impl RangeBounds<Timestamp>) -> Option<Decision<S>> {
        let mut instants = self.0.range(range).rev();
        let (at, facts) = instants.next()?;
        // Nearly always: what came before cannot matter then.
        if let (1, Some(only)) = (facts.len(), facts.first()) {
            return Some(Decision {
                state: only.state.clone(),
                at: *at,
                ambiguous: false,
            });
        }
        let older = instants
            .next()
            .and_then(|(at, facts)| decide(*at, facts, None));
        let older = older.filter(|decision| !decision.ambiguous);
        decide(*at, facts, older.map(|decision| decision.state).as_ref())
    }
}
