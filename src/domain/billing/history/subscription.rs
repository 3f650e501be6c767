//! The history of a subscription.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::{SubscriptionFact, SubscriptionState, SubscriptionStatus};
use crate::domain::billing::newest::Newest;
use crate::domain::billing::tie_break::Observation;
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// The history of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriptionHistory {
    /// Facts with a known status that is not terminal.
    #[serde(skip_serializing_if = "Newest::is_empty")]
    pub recent: Newest<SubscriptionState>,
    /// Terminal facts of the newest terminal instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Terminal>,
    /// The newest instant of any `active` or `trialing` fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_at: Option<Timestamp>,
    /// Payments at or after `good_at`, and bad statuses after it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub trail: BTreeSet<(Timestamp, Mark)>,
    /// True if `incomplete` was seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub seen_pending: bool,
    /// True if a payment was seen, or a status that only a subscription can have that has begun.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub seen_access: bool,
    /// The newest fact with an unknown status; of one instant the greatest word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<(Timestamp, String)>,
    /// The account of the newest fact that names one; of one instant the greatest. It counts where
    /// the deciding fact names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer: Option<(Timestamp, ObjectKey)>,
}

/// Terminal facts of one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Provider time.
    pub at: Timestamp,
    /// The states, each with the time of the end that the payload has.
    pub states: BTreeSet<(SubscriptionState, Option<Timestamp>)>,
}

/// A mark on the trail of a subscription, sorted by precedence within one instant: a payment beats
/// a failure, because an invoice never fails after it was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// A payment failed.
    Failure,
    /// A payment succeeded.
    Success,
    /// Status `past_due`.
    PastDue,
    /// Status `unpaid`.
    Unpaid,
    /// Status `paused`.
    Paused,
}

impl SubscriptionHistory {
    /// Merges an event that shows the subscription.
    pub fn join_state(&mut self, at: Timestamp, fact: &SubscriptionFact) {
        self.join_payer(at, fact.state.account.as_ref());
        match &fact.state.status {
            SubscriptionStatus::Incomplete => self.seen_pending = true,
            SubscriptionStatus::IncompleteExpired | SubscriptionStatus::Canceled => {
                return self.join_terminal(at, fact);
            }
            SubscriptionStatus::Unknown(word) => {
                self.seen_access = true;
                self.unknown = self.unknown.take().max(Some((at, word.clone())));
                return;
            }
            SubscriptionStatus::Trialing | SubscriptionStatus::Active => self.join_good(at),
            SubscriptionStatus::PastDue => self.join_mark(at, Mark::PastDue),
            SubscriptionStatus::Unpaid => self.join_mark(at, Mark::Unpaid),
            SubscriptionStatus::Paused => self.join_mark(at, Mark::Paused),
        }
        self.seen_access |= fact.state.status != SubscriptionStatus::Incomplete;
        let observation = Observation {
            state: fact.state.clone(),
            before: fact.before.clone(),
            created: fact.created,
            request: fact.request.clone(),
        };
        self.recent.join(at, observation);
    }

    /// A payment failed.
    pub fn join_failure(&mut self, at: Timestamp, account: Option<&ObjectKey>) {
        self.join_payer(at, account);
        self.join_mark(at, Mark::Failure);
    }

    /// A payment succeeded.
    pub fn join_success(&mut self, at: Timestamp, account: Option<&ObjectKey>) {
        self.join_payer(at, account);
        self.seen_access = true;
        self.join_mark(at, Mark::Success);
    }

    /// Returns the newest instant of anything in the history.
    pub fn newest(&self) -> Option<Timestamp> {
        let trail = self.trail.last().map(|(at, _)| *at);
        let unknown = self.unknown.as_ref().map(|(at, _)| *at);
        self.newest_known()
            .max(self.good_at)
            .max(trail)
            .max(unknown)
    }

    /// Returns the newest instant of a fact with a known status.
    pub fn newest_known(&self) -> Option<Timestamp> {
        self.recent
            .newest()
            .max(self.terminal.as_ref().map(|terminal| terminal.at))
    }

    fn join_payer(&mut self, at: Timestamp, account: Option<&ObjectKey>) {
        if let Some(account) = account {
            self.payer = self.payer.take().max(Some((at, account.clone())));
        }
    }

    fn join_terminal(&mut self, at: Timestamp, fact: &SubscriptionFact) {
        let entry = (fact.state.clone(), fact.ended_at);
        match &mut self.terminal {
            Some(known) if known.at > at => {}
            Some(known) if known.at == at => {
                known.states.insert(entry);
            }
            newer => {
                let states = BTreeSet::from([entry]);
                *newer = Some(Terminal { at, states });
            }
        }
    }

    fn join_good(&mut self, at: Timestamp) {
        self.good_at = self.good_at.max(Some(at));
        self.trim();
    }

    fn join_mark(&mut self, at: Timestamp, mark: Mark) {
        self.trail.insert((at, mark));
        self.trim();
    }

    /// Drops marks from the trail that the newest good status makes irrelevant. Payments of its
    /// instant stay: nothing tells which of the two came first.
    fn trim(&mut self) {
        let Some(good_at) = self.good_at else { return };
        self.trail.retain(|(at, mark)| match mark {
            Mark::Failure | Mark::Success => *at >= good_at,
            Mark::PastDue | Mark::Unpaid | Mark::Paused => *at > good_at,
        });
    }
}
