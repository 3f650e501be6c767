//! The facts of an object's newest instants.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::tie_break::{Decision, Observation, TieBreak, decide};
use crate::domain::time::Timestamp;

/// The observations of the two newest instants. The second newest tells where the walk of the
/// newest began, if that walk is a circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Newest<S: Ord>(BTreeMap<Timestamp, BTreeSet<Observation<S>>>);

impl<S: Ord> Default for Newest<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: TieBreak> Newest<S> {
    pub(crate) fn join(&mut self, at: Timestamp, observation: Observation<S>) {
        self.0.entry(at).or_default().insert(observation);
        while self.0.len() > 2 {
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
        let mut instants = self.0.iter().rev();
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
