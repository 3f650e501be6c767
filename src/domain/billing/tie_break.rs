//! Tie-break: the result of several facts of one instant.
//!
//! Stripe's events have whole seconds, so one second can contain several changes of one object, and
//! the order of arrival must not decide. But each update tells what it changed
//! (`previous_attributes`), so a second of updates is a walk through states in which each update is
//! one step: the walk ends in the state that was entered once more than it was left. That holds for
//! any number of steps and for circles, given the state before the second. Where the walk leaves
//! several states possible, the one with the least access is chosen, and the result is flagged as
//! ambiguous.
//!
//! Refused: matching pairs (an update succeeds another if its `before` is the other's state). In
//! "cancel, then undo" within one second each is the successor of the other, and in a circle of
//! three the winner depends on where one starts. Event ids decide nothing either, because they are
//! random.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::domain::billing::fact::{Contact, SubscriptionState, SubscriptionStatus};
use crate::domain::billing::feature::FeatureList;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One event's view of an object, without the time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Observation<S> {
    /// The state that the event shows.
    pub state: S,
    /// The state before the change, where the event has it.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub before: Option<S>,
    /// True if the event created or imported the object.
    #[serde(default, rename = "born", skip_serializing_if = "std::ops::Not::not")]
    pub created: bool,
    /// The request behind the event, which tells two events of one change from two changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Serde's plain `default` would require `S: Default`.
const fn none<S>() -> Option<S> {
    None
}

/// A state that [`decide`] can choose.
pub trait TieBreak: Ord + Clone {
    /// True for a state before the object is in use (`incomplete`); it loses to any other.
    fn is_initial(&self) -> bool;

    /// Compares by access, less first. Only equal states compare as equal.
    fn by_access(&self, other: &Self) -> Ordering;
}

/// The result of the facts of one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<S> {
    /// The state.
    pub state: S,
    /// The instant.
    pub at: Timestamp,
    /// True if the facts allow other states too.
    pub ambiguous: bool,
}

/// Decides the state after the facts of the instant `at`, given the state `older` before it; `None`
/// without facts.
pub fn decide<S: TieBreak>(
    at: Timestamp,
    facts: &BTreeSet<Observation<S>>,
    older: Option<&S>,
) -> Option<Decision<S>> {
    let walk = Walk::new(facts);
    let certain = |state: &S| Decision {
        state: state.clone(),
        at,
        ambiguous: false,
    };
    let mut states = walk.states.iter();
    if let (Some(only), None) = (states.next(), states.next()) {
        return Some(certain(only));
    }
    let start_older: BTreeSet<&S> = older.into_iter().collect();
    for starts in [&BTreeSet::new(), &walk.created_states, &start_older] {
        let ends = walk.ends(starts);
        let mut members = ends.iter();
        if let (Some(end), None) = (members.next(), members.next()) {
            return Some(certain(end));
        }
    }
    let candidates = walk.candidates();
    let least = candidates.iter().min_by(|a, b| a.by_access(b))?;
    Some(Decision {
        state: (**least).clone(),
        at,
        ambiguous: candidates.len() > 1,
    })
}

/// The facts of one instant, as a walk through states.
struct Walk<'a, S> {
    states: BTreeSet<&'a S>,
    /// The steps from one state to another. As a set with the request id, two events of one change
    /// count once, and the same change made by two requests counts twice.
    steps: BTreeSet<(&'a S, &'a S, Option<&'a str>)>,
    /// The states in which the object was created.
    created_states: BTreeSet<&'a S>,
}

impl<'a, S: TieBreak> Walk<'a, S> {
    fn new(facts: &'a BTreeSet<Observation<S>>) -> Self {
        let step = |fact: &'a Observation<S>| {
            let before = fact
                .before
                .as_ref()
                .filter(|before| **before != fact.state)?;
            Some((before, &fact.state, fact.request.as_deref()))
        };
        Self {
            states: facts.iter().map(|fact| &fact.state).collect(),
            steps: facts.iter().filter_map(step).collect(),
            created_states: facts
                .iter()
                .filter(|fact| fact.created)
                .map(|fact| &fact.state)
                .collect(),
        }
    }

    /// Returns the states in which a walk that began in one of `starts` can have ended: those
    /// entered more often than left, and those that no step touches.
    fn ends(&self, starts: &BTreeSet<&S>) -> BTreeSet<&'a S> {
        let is_end = |state: &&&'a S| {
            let entered = self.steps.iter().filter(|(_, to, _)| to == *state).count();
            let left = self
                .steps
                .iter()
                .filter(|(from, _, _)| from == *state)
                .count();
            let started = usize::from(starts.contains(**state));
            let untouched = entered + left == 0 && !self.created_states.contains(**state);
            entered + started > left || untouched
        };
        self.states.iter().filter(is_end).copied().collect()
    }

    /// Returns the states that remain possible: the ends, or all states of a circle; without
    /// initial and created states, if others remain.
    fn candidates(&self) -> BTreeSet<&'a S> {
        let mut candidates = self.ends(&BTreeSet::new());
        if candidates.is_empty() {
            candidates.clone_from(&self.states);
        }
        retain_unless_empty(&mut candidates, |state| !state.is_initial());
        retain_unless_empty(&mut candidates, |state| {
            !self.created_states.contains(state)
        });
        candidates
    }
}

fn retain_unless_empty<S: Ord>(states: &mut BTreeSet<&S>, keep: impl Fn(&S) -> bool) {
    if states.iter().any(|state| keep(state)) {
        states.retain(|state| keep(state));
    }
}

impl TieBreak for SubscriptionState {
    fn is_initial(&self) -> bool {
        self.status == SubscriptionStatus::Incomplete
    }

    fn by_access(&self, other: &Self) -> Ordering {
        let key = |state: &Self| {
            let access = access_rank(&state.status);
            let unscheduled = state.cancel_at.is_none();
            (
                access,
                !state.collection_paused,
                unscheduled,
                state.cancel_at,
                state.items.len(),
            )
        };
        key(self).cmp(&key(other)).then_with(|| self.cmp(other))
    }
}

/// Ranks statuses by access, less first.
const fn access_rank(status: &SubscriptionStatus) -> u8 {
    match status {
        SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired => 0,
        SubscriptionStatus::Unknown(_) => 1,
        SubscriptionStatus::Paused => 2,
        SubscriptionStatus::Unpaid => 3,
        SubscriptionStatus::PastDue => 4,
        SubscriptionStatus::Incomplete => 5,
        SubscriptionStatus::Trialing => 6,
        SubscriptionStatus::Active => 7,
    }
}

/// Contacts give no access, so they are compared by their text.
impl TieBreak for Contact {
    fn is_initial(&self) -> bool {
        false
    }

    fn by_access(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

/// Fewer features give less.
impl TieBreak for FeatureList {
    fn is_initial(&self) -> bool {
        false
    }

    fn by_access(&self, other: &Self) -> Ordering {
        let count = self.features.len().cmp(&other.features.len());
        count.then_with(|| self.cmp(other))
    }
}
