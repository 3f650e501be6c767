//! Comparisons of what is kept with what a provider says: their stages, and what was found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// The part of a comparison that is under way. They come in this order: whoever pays is known before
/// what he bought, and the events come last, because most of them say again what the objects said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Billing accounts.
    Customers,
    /// Subscriptions, ended ones too.
    Subscriptions,
    /// Invoices or transactions.
    Payments,
    /// Disputes.
    Disputes,
    /// Refunds.
    Refunds,
    /// Events, as the provider lists them.
    Events,
    /// Features that accounts are entitled to.
    Features,
    /// Subscriptions that are kept here and that the provider did not list.
    Gone,
}

words!(Stage, or "a stage" {
    Customers = "customers",
    Subscriptions = "subscriptions",
    Payments = "payments",
    Disputes = "disputes",
    Refunds = "refunds",
    Events = "events",
    Features = "features",
    Gone = "gone",
});

impl Stage {
    /// Returns the stage after this one; `None` after the last.
    pub fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| *stage > self)
    }
}

/// How a comparison stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReconcileStatus {
    /// Something is still to be read.
    Open,
    /// All was read. Only from such a one the next goes on.
    Finished,
    /// It could not go on; `error` says why.
    Failed,
    /// An admin canceled it.
    Canceled,
}

words!(ReconcileStatus, or "a status of a reconciliation" {
    Open = "open",
    Finished = "finished",
    Failed = "failed",
    Canceled = "canceled",
});

/// The numbers of one kind of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Objects that the provider listed.
    pub read: u64,
    /// Those of them that were not known here.
    pub missing: u64,
    /// Those that were known, and whose state here was another one.
    pub different: u64,
    /// Those that could not be understood. The ledger says why.
    pub unreadable: u64,
}

/// A price without a plan that somebody pays for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmappedPrice {
    /// The price id.
    pub price: String,
    /// The subscriptions that include it and have not ended.
    #[serde(default)]
    pub subscriptions: u64,
    /// The customers whom it gives nothing although they pay for it.
    pub customers: u64,
}

/// What a comparison has found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// The numbers by stage.
    pub kinds: BTreeMap<Stage, Tally>,
    /// Subscriptions that the provider does not list any more.
    pub gone: u64,
    /// The first of them, by the provider's ids.
    pub gone_ids: Vec<String>,
    /// Differences that were repaired.
    pub repaired: u64,
    /// Prices without a plan, those of most subscriptions first.
    pub unmapped: Vec<UnmappedPrice>,
    /// Requests that were answered.
    pub requests: u64,
    /// When the comparison began that was the last to ask for the features of accounts: this one, or one
    /// before it. `None` if none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features_asked_at: Option<Timestamp>,
    /// The kinds that the API key may not read, with what the provider said. Such a kind stays here in
    /// later comparisons until one reads it, or has no need to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub not_read: BTreeMap<Stage, String>,
}

impl Found {
    /// Returns the sum over all kinds.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.kinds.values() {
            total.read += tally.read;
            total.missing += tally.missing;
            total.different += tally.different;
            total.unreadable += tally.unreadable;
        }
        total
    }

    /// Returns the number of differences of all sorts.
    pub fn drift(&self) -> u64 {
        let total = self.total();
        total.missing + total.different + self.gone
    }

    /// True if nothing of what the provider listed was known here.
    pub fn knew_nothing(&self) -> bool {
        let billed = [Stage::Customers, Stage::Subscriptions, Stage::Payments];
        let mut billed = billed.iter().filter_map(|stage| self.kinds.get(stage));
        self.gone == 0 && billed.all(|it| it.different == 0 && it.missing == it.read)
    }

    /// True if what is kept here is now what the provider says.
    pub fn is_settled(&self) -> bool {
        self.drift() == self.repaired && self.total().unreadable == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knew_nothing_if_all_was_missing() {
        let tally = |read, missing, different| Tally {
            read,
            missing,
            different,
            unreadable: 0,
        };
        let found = |kinds: &[(Stage, Tally)]| Found {
            kinds: kinds.iter().copied().collect(),
            ..Found::default()
        };
        let (customers, payments) = (Stage::Customers, Stage::Payments);
        let all_new = [(customers, tally(9, 9, 0)), (payments, tally(5, 5, 0))];
        assert!(found(&all_new).knew_nothing());
        // The events of what was just imported say the same again.
        let events = (Stage::Events, tally(30, 4, 0));
        assert!(found(&[all_new[0], all_new[1], events]).knew_nothing());
        let known = [(customers, tally(9, 8, 0)), (payments, tally(5, 5, 0))];
        assert!(!found(&known).knew_nothing());
        assert!(!found(&[all_new[0], (payments, tally(5, 4, 1))]).knew_nothing());
        let gone = Found {
            gone: 1,
            ..found(&all_new)
        };
        assert!(!gone.knew_nothing());
    }

    #[test]
    fn stages_follow_each_other_to_the_last() {
        let mut stage = Some(Stage::Customers);
        let mut walked = Vec::new();
        while let Some(at) = stage {
            walked.push(at);
            stage = at.next();
        }
        assert_eq!(walked, Stage::ALL);
    }

    #[test]
    fn what_was_kept_before_a_field_existed_is_read() {
        let kept = r#"{"kinds": {"customers": {"read": 3}}, "gone": 1, "requests": 7}"#;
        let found: Found = serde_json::from_str(kept).unwrap();
        assert_eq!((found.total().read, found.gone), (3, 1));
        assert!(found.not_read.is_empty() && found.features_asked_at.is_none());
        assert!(!serde_json::to_string(&found).unwrap().contains("not_read"));
    }

    #[test]
    fn what_is_not_repaired_or_not_understood_is_not_settled() {
        let tally = |missing, unreadable| Tally {
            read: 9,
            missing,
            different: 0,
            unreadable,
        };
        for (missing, gone, repaired, unreadable, settled) in [
            (0, 0, 0, 0, true),
            (2, 0, 2, 0, true),
            (2, 0, 0, 0, false),
            (0, 1, 0, 0, false),
            (0, 0, 0, 1, false),
        ] {
            let found = Found {
                kinds: [(Stage::Customers, tally(missing, unreadable))].into(),
                gone,
                repaired,
                ..Found::default()
            };
            assert_eq!(found.is_settled(), settled, "{found:?}");
        }
    }
}
