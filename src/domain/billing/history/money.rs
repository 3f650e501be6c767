//! What is kept of disputes and refunds.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::DisputeStage;
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// What is kept of a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeHistory {
    /// The newest standing; of one instant the greatest.
    pub stage: (Timestamp, DisputeStage),
    /// Every id that an event ties it to.
    pub ids: BTreeSet<ObjectKey>,
    /// Every account that its ids were ever found to lead to. References only grow, so this
    /// does, and can be added to when only some of the references are at hand.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accounts: BTreeSet<ObjectKey>,
    /// Admin act: newest deciding instant whose flag, that nobody is known to own this, was
    /// cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Timestamp>,
}

impl DisputeHistory {
    /// A dispute that nothing ties to an account yet.
    pub const fn new(at: Timestamp, stage: DisputeStage) -> Self {
        Self {
            stage: (at, stage),
            ids: BTreeSet::new(),
            accounts: BTreeSet::new(),
            cleared_at: None,
        }
    }

    /// A person should look at it, whoever owns it.
    pub const fn needs_a_look(&self) -> bool {
        match self.stage.1 {
            DisputeStage::Warning | DisputeStage::Open | DisputeStage::Lost => true,
            DisputeStage::Won => false,
        }
    }

    /// An event shows the dispute.
    pub fn join(&mut self, at: Timestamp, stage: DisputeStage, ids: &BTreeSet<ObjectKey>) {
        self.stage = self.stage.max((at, stage));
        self.ids.extend(ids.iter().cloned());
    }
}

/// What is kept of the refunds of one payment.
///
/// A payment can go back in parts, and how much it was can be told before or after. So there is
/// one of these for a payment of which nothing went back, too, if its provider tells of refunds
/// part by part; it is tied to no account then, and nobody's customer loads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefundHistory {
    /// What each charge or adjustment said last.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<ObjectKey, RefundPart>,
    /// The newest word on how much the payment was; of one instant the greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged: Option<(Timestamp, i64)>,
    /// Every id that an event ties it to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ids: BTreeSet<ObjectKey>,
    /// Every account that its ids were ever found to lead to. References only grow, so this
    /// does, and can be added to when only some of the references are at hand.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub accounts: BTreeSet<ObjectKey>,
    /// Admin act: newest deciding instant whose flag, that nobody is known to own this, was
    /// cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Timestamp>,
}

/// A part of a refund; of one instant the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefundPart {
    /// Provider time.
    pub at: Timestamp,
    /// With it all of the payment has gone back.
    pub full: bool,
    /// How much it gave back, in the currency's smallest unit.
    pub amount: i64,
}

impl RefundHistory {
    /// An event shows a part.
    pub fn join(&mut self, key: &ObjectKey, part: RefundPart, ids: &BTreeSet<ObjectKey>) {
        let known = self.parts.entry(key.clone()).or_insert(part);
        *known = part.max(*known);
        self.ids.extend(ids.iter().cloned());
    }

    /// An event says how much the payment was.
    pub fn join_charged(&mut self, at: Timestamp, amount: i64) {
        self.charged = self.charged.max(Some((at, amount)));
    }

    /// The newest instant of any part; `None` while nothing went back.
    pub fn newest(&self) -> Option<Timestamp> {
        self.parts.values().map(|part| part.at).max()
    }

    /// Whether all of the payment went back: as one part says, or as the parts sum to.
    pub fn is_full(&self) -> bool {
        let given_back = self
            .parts
            .values()
            .fold(0_i64, |sum, part| sum.saturating_add(part.amount));
        let summed = |(_, amount)| 0 < amount && amount <= given_back;
        self.parts.values().any(|part| part.full) || self.charged.is_some_and(summed)
    }
}
