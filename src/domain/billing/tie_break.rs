//! The winner among facts of one instant.
//!
//! Stripe's events carry whole seconds, so a second can hold several changes of one object, and
//! arrival must not decide. But each update says what it changed (`previous_attributes`), so a
//! second of updates is a walk through states, each update one step: the end is the state
//! entered once more than it was left. That holds for any number of steps and for circles, given
//! the state before the second.
//!
//! Refused: matching pairs (an update succeeds another if its `before` is the other's state). In
//! "cancel, then undo" within one second each is the successor of the other, and in a circle of
//! three the winner depends on where one starts. Event ids decide nothing either: they are
//! random.
//!
//! What stays open after that is decided by the states themselves, least access first, and is
//! flagged.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::domain::billing::fact::{Contact, SubscriptionState, SubscriptionStatus};
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What one event showed of an object, apart from when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Observation<S> {
    /// The state that it shows.
    pub state: S,
    /// The state before the change, where it says so.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub before: Option<S>,
    /// The event created or imported the object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub born: bool,
    /// The request behind the event: tells two events of one change from two changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Serde's `default` would ask that `S` has one.
const fn none<S>() -> Option<S> {
    None
}

/// A state that [`decide`] can choose.
pub trait TieBreak: Ord + Clone {
    /// The object has not begun its life (`incomplete`); loses to any other.
    fn is_initial(&self) -> bool;

    /// The one with less access first; equal states alone are equal.
    fn by_access(&self, other: &Self) -> Ordering;
}

/// How an instant ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<S> {
    /// The state.
    pub state: S,
    /// The instant.
    pub at: Timestamp,
    /// The facts allowed other states too.
    pub ambiguous: bool,
}

/// How the facts of the instant `at` ended, after the state `older`; `None` without facts.
pub fn decide<S: TieBreak>(
    at: Timestamp,
    facts: &BTreeSet<Observation<S>>,
    older: Option<&S>,
) -> Option<Decision<S>> {
    let walk = Walk::new(facts);
    let sure = |state: &S| Decision {
        state: state.clone(),
        at,
        ambiguous: false,
    };
    let mut states = walk.states.iter();
    if let (Some(only), None) = (states.next(), states.next()) {
        return Some(sure(only));
    }
    let begun_at_older: BTreeSet<&S> = older.into_iter().collect();
    for begun_at in [&BTreeSet::new(), &walk.births, &begun_at_older] {
        let ends = walk.ends(begun_at);
        let mut members = ends.iter();
        if let (Some(end), None) = (members.next(), members.next()) {
            return Some(sure(end));
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

/// A second of facts, as a walk through states.
struct Walk<'a, S> {
    states: BTreeSet<&'a S>,
    /// Steps from one state to another. A set with the request id: two events of one change
    /// count once, the same change made by two requests counts twice.
    steps: BTreeSet<(&'a S, &'a S, Option<&'a str>)>,
    /// States in which the object was made.
    births: BTreeSet<&'a S>,
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
            births: facts
                .iter()
                .filter(|fact| fact.born)
                .map(|fact| &fact.state)
                .collect(),
        }
    }

    /// States in which a walk that began in one of `begun_at` can have ended: those entered more
    /// often than left, and those that no step touches.
    fn ends(&self, begun_at: &BTreeSet<&S>) -> BTreeSet<&'a S> {
        let is_end = |state: &&&'a S| {
            let entered = self.steps.iter().filter(|(_, to, _)| to == *state).count();
            let left = self
                .steps
                .iter()
                .filter(|(from, _, _)| from == *state)
                .count();
            let begun = usize::from(begun_at.contains(**state));
            let untouched = entered + left == 0 && !self.births.contains(**state);
            entered + begun > left || untouched
        };
        self.states.iter().filter(is_end).copied().collect()
    }

    /// What the facts leave open: the ends, or all states of a circle; without those that only
    /// begin a life, if others remain.
    fn candidates(&self) -> BTreeSet<&'a S> {
        let mut candidates = self.ends(&BTreeSet::new());
        if candidates.is_empty() {
            candidates.clone_from(&self.states);
        }
        retain_unless_empty(&mut candidates, |state| !state.is_initial());
        retain_unless_empty(&mut candidates, |state| !self.births.contains(state));
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

/// Less access first.
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

/// Contacts give no access, so their order is that of their text.
impl TieBreak for Contact {
    fn is_initial(&self) -> bool {
        false
    }

    fn by_access(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}
