//! The history of a dispute.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::DisputeStage;
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// The history of a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeHistory {
    /// The newest stage; of one instant the greatest.
    pub stage: (Timestamp, DisputeStage),
    /// The oldest instant.
    pub oldest: Timestamp,
    /// Every id that an event links it to.
    pub ids: BTreeSet<ObjectKey>,
    /// Admin act: the newest deciding instant whose `unlinked` flag was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Timestamp>,
}

impl DisputeHistory {
    /// Creates the history of a dispute that is not linked to a payment yet.
    pub const fn new(at: Timestamp, stage: DisputeStage) -> Self {
        Self {
            stage: (at, stage),
            oldest: at,
            ids: BTreeSet::new(),
            cleared_at: None,
        }
    }

    /// True if a person should look at the dispute, even if its account is unknown.
    pub const fn needs_a_look(&self) -> bool {
        match self.stage.1 {
            DisputeStage::FraudWarning
            | DisputeStage::Warning
            | DisputeStage::Open
            | DisputeStage::Lost => true,
            DisputeStage::Won => false,
        }
    }

    /// Merges an event that shows the dispute.
    pub fn join(&mut self, at: Timestamp, stage: DisputeStage, ids: &BTreeSet<ObjectKey>) {
        self.stage = self.stage.max((at, stage));
        self.oldest = self.oldest.min(at);
        self.ids.extend(ids.iter().cloned());
    }
}
