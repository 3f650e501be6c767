//! The histories of disputes and refunds.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::billing::fact::DisputeStage;
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// The history of a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeHistory {
    /// The newest stage; of one instant the greatest.
    pub stage: (Timestamp, DisputeStage),
    /// Every id that an event links it to.
    pub ids: BTreeSet<ObjectKey>,
    /// Every account that its ids were ever traced to. Payment links only grow, so this does too,
    /// and more can be added when only some of the links are loaded.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accounts: BTreeSet<ObjectKey>,
    /// Admin act: the newest deciding instant whose `unlinked` flag was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Timestamp>,
}

impl DisputeHistory {
    /// Creates the history of a dispute that is not linked to an account yet.
    pub const fn new(at: Timestamp, stage: DisputeStage) -> Self {
        Self {
            stage: (at, stage),
            ids: BTreeSet::new(),
            accounts: BTreeSet::new(),
            cleared_at: None,
        }
    }

    /// True if a person should look at the dispute, even if its account is unknown.
    pub const fn needs_a_look(&self) -> bool {
        match self.stage.1 {
            DisputeStage::Warning | DisputeStage::Open | DisputeStage::Lost => true,
            DisputeStage::Won => false,
        }
    }

    /// Merges an event that shows the dispute.
    pub fn join(&mut self, at: Timestamp, stage: DisputeStage, ids: &BTreeSet<ObjectKey>) {
        self.stage = self.stage.max((at, stage));
        self.ids.extend(ids.iter().cloned());
    }
}

/// The history of the refunds of one payment.
///
/// A payment can be refunded in parts, and its amount can become known before or after them. So,
/// for a provider that reports refunds in parts, a payment without refunds has a history too; it is
/// linked to no account then, and no customer loads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefundHistory {
    /// The latest report of each charge or adjustment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<ObjectKey, RefundPart>,
    /// The newest amount of the payment; of one instant the greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged: Option<(Timestamp, i64)>,
    /// Every id that an event links it to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ids: BTreeSet<ObjectKey>,
    /// Every account that its ids were ever traced to. Payment links only grow, so this does too,
    /// and more can be added when only some of the links are loaded.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub accounts: BTreeSet<ObjectKey>,
    /// Admin act: the newest deciding instant whose `unlinked` flag was cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Timestamp>,
}

/// A part of a refund; of one instant the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefundPart {
    /// Provider time.
    pub at: Timestamp,
    /// True if all of the payment has been given back with it.
    pub full: bool,
    /// The amount given back, in the currency's smallest unit.
    pub amount: i64,
}

impl RefundHistory {
    /// Merges an event that shows a part.
    pub fn join(&mut self, key: &ObjectKey, part: RefundPart, ids: &BTreeSet<ObjectKey>) {
        let known = self.parts.entry(key.clone()).or_insert(part);
        *known = part.max(*known);
        self.ids.extend(ids.iter().cloned());
    }

    /// Merges an event that shows the amount of the payment.
    pub fn join_charged(&mut self, at: Timestamp, amount: i64) {
        self.charged = self.charged.max(Some((at, amount)));
    }

    /// Returns the newest instant of any part; `None` while nothing was given back.
    pub fn newest(&self) -> Option<Timestamp> {
        self.parts.values().map(|part| part.at).max()
    }

    /// Reports whether all of the payment was given back, as one part states or as the parts sum up
    /// to.
    pub fn is_full(&self) -> bool {
        let given_back = self
            .parts
            .values()
            .fold(0_i64, |sum, part| sum.saturating_add(part.amount));
        let summed = |(_, amount)| 0 < amount && amount <= given_back;
        self.parts.values().any(|part| part.full) || self.charged.is_some_and(summed)
    }
}
