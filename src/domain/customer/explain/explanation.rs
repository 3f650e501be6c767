//! The parts of an explanation, as data.

use crate::domain::billing::assessment::{Standing, Verdict};
use crate::domain::customer::row::Hold;
use crate::domain::id::Provider;
use crate::domain::identity::links::Tie;
use crate::domain::time::Timestamp;

/// Why a customer is shown as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The status: `active`, `suspended`, `frozen` or `expired`.
    pub status: &'static str,
    /// Why, in one word or the admin's.
    pub reason: Option<String>,
    /// What was released until then is reachable, for a frozen customer.
    pub frozen_at: Option<Timestamp>,
    /// Everything that holds the customer.
    pub holds: Vec<HoldCause>,
    /// An admin's reactivation that holds against the word of billing.
    pub courtesy: Option<CourtesyCause>,
    /// Disputes and refunds that no longer hold the customer, by an admin's word.
    pub waived: Vec<String>,
    /// What the subscriptions say together: the best of those that count; `None` if none does.
    pub verdict: Option<Verdict>,
    /// The subscriptions, and how each counts.
    pub subscriptions: Vec<SubscriptionCause>,
    /// The billing accounts, and how each was linked.
    pub accounts: Vec<AccountCause>,
    /// What timers will do if nothing happens before, in order.
    pub next: Vec<Step>,
    /// The same in sentences.
    pub summary: Vec<String>,
}

/// A hold and its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldCause {
    /// What kind of hold.
    pub hold: Hold,
    /// What it makes of the status by itself.
    pub status: &'static str,
    /// Why, in one word or the admin's.
    pub reason: Option<String>,
    /// The status is this hold's: an admin's comes first, then the strictest.
    pub decides: bool,
    /// Since when: provider time; of an admin's hold the local clock.
    pub since: Option<Timestamp>,
    /// The dispute, or the charge or adjustment of a refund.
    pub subject: Option<String>,
    /// The subscriptions that billing's hold rests on.
    pub subscriptions: Vec<String>,
}

/// An admin's reactivation against the word of billing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourtesyCause {
    /// Since when, by the local clock.
    pub since: Timestamp,
    /// It lasts while this is what billing says.
    pub verdict: Verdict,
    /// And until a subscription is good at an instant of the provider's time after this one.
    pub until_good_after: Timestamp,
}

/// A subscription and how it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionCause {
    /// Who bills.
    pub provider: Provider,
    /// The provider's id.
    pub id: String,
    /// Live, not test.
    pub livemode: bool,
    /// The billing account that pays.
    pub account: Option<String>,
    /// The provider's word; `None` while no known status was seen.
    pub status: Option<String>,
    /// What kind of standing that is.
    pub standing: Standing,
    /// How it counts under the policy; `None` if it does not.
    pub verdict: Option<Verdict>,
    /// The instant of the facts that decided its status.
    pub decided_at: Option<Timestamp>,
    /// These facts allowed another status too; the one with least access was taken.
    pub ambiguous: bool,
    /// When the failure began that has not been healed.
    pub failing_since: Option<Timestamp>,
    /// When it was paused, if it is.
    pub paused_since: Option<Timestamp>,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
    /// When it is scheduled to end.
    pub cancel_at: Option<Timestamp>,
    /// When a timer changes this.
    pub due_at: Option<Timestamp>,
    /// The same in a sentence.
    pub because: String,
}

/// A billing account and how it was linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountCause {
    /// Who bills.
    pub provider: Provider,
    /// The provider's id.
    pub id: String,
    /// Live, not test.
    pub livemode: bool,
    /// How it found its customer.
    pub tie: Tie,
    /// When the provider deleted it.
    pub removed_at: Option<Timestamp>,
}

/// What a timer will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// The status from then on; it may be the same.
    pub status: &'static str,
    /// Why, in one word or the admin's.
    pub reason: Option<String>,
    /// The subscriptions that stand otherwise from then on.
    pub subscriptions: Vec<String>,
}
