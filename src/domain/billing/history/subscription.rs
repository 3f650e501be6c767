//! The history of a subscription.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::access::plan::Price;
use crate::domain::billing::fact::{SubscriptionFact, SubscriptionState, SubscriptionStatus};
use crate::domain::billing::newest::Newest;
use crate::domain::billing::tie_break::Observation;
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// The history of a subscription. Its payments have histories of their own.
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
    /// Bad statuses after `good_at`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub trail: BTreeSet<Mark>,
    /// The known statuses that were ever seen.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub seen: BTreeSet<SubscriptionStatus>,
    /// The prices that it ever had while it was running: a licence of each stays, whatever order the
    /// facts came in.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub had: BTreeSet<Price>,
    /// The oldest instant of any fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// True if the event that created the subscription was seen: an import is none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub seen_created: bool,
    /// The newest fact with an unknown status; of one instant the greatest word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<(Timestamp, String)>,
    /// The account of the newest fact that names one; of one instant the greatest. It counts where
    /// the deciding fact names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer: Option<(Timestamp, ObjectKey)>,
    /// The seller's own id of the buyer that its newest fact with one says; of one instant the greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seller_id: Option<(Timestamp, String)>,
}

/// Terminal facts of one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Provider time.
    pub at: Timestamp,
    /// The states, each with the time of the end that the payload has.
    pub states: BTreeSet<(SubscriptionState, Option<Timestamp>)>,
}

/// A bad status on the trail of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// Provider time.
    pub at: Timestamp,
    /// The status.
    pub kind: MarkKind,
    /// The invoice that the subscription owed then, where the event shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_invoice: Option<String>,
}

/// The kinds of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// Status `past_due`.
    PastDue,
    /// Status `unpaid`.
    Unpaid,
    /// Status `paused`.
    Paused,
}

impl SubscriptionHistory {
    /// Merges an event that says the seller's own id of the buyer.
    pub fn join_seller_id(&mut self, at: Timestamp, id: String) {
        self.seller_id = self.seller_id.take().max(Some((at, id)));
    }

    /// Merges an event that shows the subscription.
    pub fn join_state(&mut self, at: Timestamp, fact: &SubscriptionFact) {
        if let Some(account) = &fact.state.account {
            self.payer = self.payer.take().max(Some((at, account.clone())));
        }
        self.began = Some(self.began.map_or(at, |began| began.min(at)));
        self.seen_created |= fact.created && !fact.imported;
        if let SubscriptionStatus::Unknown(word) = &fact.state.status {
            self.unknown = self.unknown.take().max(Some((at, word.clone())));
            return;
        }
        self.seen.insert(fact.state.status.clone());
        match &fact.state.status {
            SubscriptionStatus::IncompleteExpired | SubscriptionStatus::Canceled => {
                return self.join_terminal(at, fact);
            }
            SubscriptionStatus::Trialing | SubscriptionStatus::Active => self.join_good(at),
            SubscriptionStatus::PastDue => self.join_mark(at, MarkKind::PastDue, fact),
            SubscriptionStatus::Unpaid => self.join_mark(at, MarkKind::Unpaid, fact),
            SubscriptionStatus::Paused => self.join_mark(at, MarkKind::Paused, fact),
            SubscriptionStatus::Incomplete | SubscriptionStatus::Unknown(_) => {}
        }
        if fact.state.status != SubscriptionStatus::Incomplete {
            let bought = fact.state.items.iter();
            let bought = bought.filter(|item| item.quantity != Some(0));
            self.had.extend(bought.map(Price::from));
        }
        let observation = Observation {
            state: fact.state.clone(),
            before: fact.before.clone(),
            created: fact.created,
            request: fact.request.clone(),
        };
        self.recent.join(at, observation);
    }

    /// Returns the newest instant of anything in the history.
    pub fn newest(&self) -> Option<Timestamp> {
        let trail = self.trail.last().map(|mark| mark.at);
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

    /// True if a status was seen that only a subscription can have that has begun.
    pub fn has_begun(&self) -> bool {
        let begun = |status: &SubscriptionStatus| match status {
            SubscriptionStatus::Incomplete
            | SubscriptionStatus::IncompleteExpired
            | SubscriptionStatus::Canceled => false,
            SubscriptionStatus::Trialing
            | SubscriptionStatus::Active
            | SubscriptionStatus::PastDue
            | SubscriptionStatus::Unpaid
            | SubscriptionStatus::Paused
            | SubscriptionStatus::Unknown(_) => true,
        };
        self.unknown.is_some() || self.seen.iter().any(begun)
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

    fn join_mark(&mut self, at: Timestamp, kind: MarkKind, fact: &SubscriptionFact) {
        self.trail.insert(Mark {
            at,
            kind,
            latest_invoice: fact.state.latest_invoice.clone(),
        });
        self.trim();
    }

    /// Drops marks from the trail that the newest good status makes irrelevant.
    fn trim(&mut self) {
        if let Some(good_at) = self.good_at {
            self.trail.retain(|mark| mark.at > good_at);
        }
    }
}
