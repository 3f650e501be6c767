//! The history of a refund, and of a charge's own count of its refunds.
//!
//! Both tell of the same money: Stripe sends `charge.refunded` beside `refund.created`, and either
//! may be all that arrives. What was given back in sum is worked out in
//! [`payment`](crate::domain::billing::payment).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::{RefundFact, RefundStage};
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// The history of a refund (`re_…`, `adj_…`), or of a charge's count (`ch_…`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefundHistory {
    /// The newest stage and amount; of one instant the greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<(Timestamp, RefundStage, i64)>,
    /// The oldest instant at which it had failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// Of a charge: the newest sum of its refunds; of one instant the greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<(Timestamp, i64)>,
    /// The lines that it gives money back for, by their ids; of several amounts the greatest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lines: BTreeMap<String, i64>,
    /// Every id that an event links it to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ids: BTreeSet<ObjectKey>,
    /// Admin act: the newest deciding instant whose `refund_unlinked` flag was cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Timestamp>,
}

impl RefundHistory {
    /// Merges an event that shows the refund.
    pub fn join(&mut self, at: Timestamp, fact: &RefundFact) {
        self.stage = self.stage.max(Some((at, fact.stage, fact.amount)));
        if fact.stage == RefundStage::Failed {
            self.failed_at = Some(self.failed_at.map_or(at, |known| known.min(at)));
        }
        for (line, amount) in &fact.lines {
            let known = self.lines.entry(line.clone()).or_default();
            *known = (*known).max(*amount);
        }
        self.ids.extend(fact.ids.iter().cloned());
    }

    /// Merges an event that shows the charge's count.
    pub fn join_counted(&mut self, at: Timestamp, amount: i64, ids: &BTreeSet<ObjectKey>) {
        self.counted = self.counted.max(Some((at, amount)));
        self.ids.extend(ids.iter().cloned());
    }

    /// Returns the newest instant.
    pub fn newest(&self) -> Option<Timestamp> {
        let stage = self.stage.map(|(at, _, _)| at);
        stage.max(self.counted.map(|(at, _)| at))
    }

    /// Returns the amount that this refund gave back; 0 unless it stands.
    pub fn given_back(&self) -> i64 {
        match self.stage {
            Some((_, RefundStage::Succeeded, amount)) => amount.max(0),
            Some((_, RefundStage::Pending | RefundStage::Failed, _)) | None => 0,
        }
    }

    /// Returns the amount that this refund gave back for a line, by its id; 0 unless it stands.
    pub fn given_back_for(&self, line: &str) -> i64 {
        let stands = matches!(self.stage, Some((_, RefundStage::Succeeded, _)));
        let amount = self.lines.get(line).copied().filter(|_| stands);
        amount.unwrap_or_default().max(0)
    }

    /// True if money went back by it.
    pub fn stands(&self) -> bool {
        self.given_back() > 0 || self.counted.is_some_and(|(_, amount)| amount > 0)
    }
}
