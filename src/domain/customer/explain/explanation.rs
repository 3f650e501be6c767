//! The parts of an explanation, as data.

use crate::domain::billing::assessment::{Standing, Verdict};
use crate::domain::customer::row::Hold;
use crate::domain::id::Provider;
use crate::domain::identity::links::Tie;
use crate::domain::time::Timestamp;

/// The explanation of a customer's derived state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The status: `active`, `suspended`, `frozen` or `expired`.
    pub status: &'static str,
    /// The reason, as a word of ours or in the admin's words.
    pub reason: Option<String>,
    /// For a frozen customer: everything released until then is accessible.
    pub frozen_at: Option<Timestamp>,
    /// The holds on the customer.
    pub holds: Vec<HoldCause>,
    /// The admin's courtesy that is in effect against the verdict of billing.
    pub courtesy: Option<CourtesyCause>,
    /// Disputes and refunds that an admin waived, so that they no longer hold the customer.
    pub waived: Vec<String>,
    /// The verdict of billing: the best of the subscriptions that count; `None` if none does.
    pub verdict: Option<Verdict>,
    /// The subscriptions, and how each counts.
    pub subscriptions: Vec<SubscriptionCause>,
    /// The billing accounts, and how each was linked.
    pub accounts: Vec<AccountCause>,
    /// The steps that timers will take if no event comes before, in order.
    pub next: Vec<Step>,
    /// The explanation in sentences.
    pub summary: Vec<String>,
}

/// A hold and its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldCause {
    /// The kind of hold.
    pub hold: Hold,
    /// The status that this hold alone would lead to.
    pub status: &'static str,
    /// The reason, as a word of ours or in the admin's words.
    pub reason: Option<String>,
    /// True if this hold decides the status: an admin's comes first, then the strictest.
    pub decides: bool,
    /// The start: provider time; for an admin's hold the local clock.
    pub since: Option<Timestamp>,
    /// The dispute, or the charge or adjustment of a refund.
    pub subject: Option<String>,
    /// The subscriptions behind a hold by billing.
    pub subscriptions: Vec<String>,
}

/// A courtesy and the conditions under which it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourtesyCause {
    /// The start, by the local clock.
    pub since: Timestamp,
    /// It lasts while this is the verdict of billing.
    pub verdict: Verdict,
    /// It also ends when a subscription is good at an instant (provider time) after this one.
    pub until_good_after: Timestamp,
}

/// A subscription and how it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionCause {
    /// The provider that bills.
    pub provider: Provider,
    /// The provider's id.
    pub id: String,
    /// True for live, false for test.
    pub livemode: bool,
    /// The billing account that pays.
    pub account: Option<String>,
    /// The provider's status; `None` while no known status was seen.
    pub status: Option<String>,
    /// The standing of the subscription.
    pub standing: Standing,
    /// The verdict under the policy; `None` if the subscription does not count.
    pub verdict: Option<Verdict>,
    /// The instant of the facts that decided its status.
    pub decided_at: Option<Timestamp>,
    /// True if these facts allow another status too; the one with the least access was chosen.
    pub ambiguous: bool,
    /// The start of the current failure.
    pub failing_since: Option<Timestamp>,
    /// The start of the current pause.
    pub paused_since: Option<Timestamp>,
    /// The time of its end.
    pub ended_at: Option<Timestamp>,
    /// The time of its scheduled end.
    pub cancel_at: Option<Timestamp>,
    /// The next time at which a timer changes this.
    pub due_at: Option<Timestamp>,
    /// The same as a sentence.
    pub because: String,
}

/// A billing account and how it was linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountCause {
    /// The provider that bills.
    pub provider: Provider,
    /// The provider's id.
    pub id: String,
    /// True for live, false for test.
    pub livemode: bool,
    /// The way in which it was linked to its customer.
    pub tie: Tie,
    /// The time at which the provider deleted it.
    pub removed_at: Option<Timestamp>,
}

/// A step that a timer will take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The time of the step.
    pub at: Timestamp,
    /// The status from then on; it may be the same.
    pub status: &'static str,
    /// The reason, as a word of ours or in the admin's words.
    pub reason: Option<String>,
    /// The subscriptions whose standing or verdict changes.
    pub subscriptions: Vec<String>,
}
