//! The parts of an explanation, as data.

use std::collections::BTreeSet;

use crate::domain::access::hand_grant::GrantBilling;
use crate::domain::access::plan::PackageGrant;
use crate::domain::billing::assessment::{Standing, Verdict};
use crate::domain::customer::row::Hold;
use crate::domain::customer::source::SourceKind;
use crate::domain::id::Provider;
use crate::domain::identity::register::Tie;
use crate::domain::time::Timestamp;
use crate::domain::words::words;

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
    /// Disputes and refunded payments that hold nothing, because a later payment of the
    /// subscription counts.
    pub paid_though_held: Vec<String>,
    /// The verdict of billing: the best of the sources that count; `None` if none does.
    pub verdict: Option<Verdict>,
    /// The sources of access, and how each counts: subscriptions, purchases, and grants by hand.
    pub sources: Vec<SourceCause>,
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
    /// The dispute, or the document of the payment that was refunded.
    pub subject: Option<String>,
    /// The refunds behind a hold by a refund.
    pub refunds: Vec<String>,
    /// The subscriptions that the hold rests on, or that it acts on.
    pub subscriptions: Vec<String>,
    /// The same and the purchases, these by the documents of their payments.
    pub sources: Vec<String>,
    /// The best verdict that a hold by billing rests on.
    pub(super) verdict: Option<Verdict>,
}

/// A courtesy and the conditions under which it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourtesyCause {
    /// The start, by the local clock.
    pub since: Timestamp,
    /// It lasts while this is the verdict of billing.
    pub verdict: Verdict,
    /// It also ends when a source is good at an instant (provider time) after this one.
    pub until_good_after: Timestamp,
}

/// A source of access, or a grant by hand that follows billing, and how it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCause {
    /// The kind.
    pub kind: SourceKind,
    /// The provider that bills; `None` for a grant by hand.
    pub provider: Option<Provider>,
    /// The id of the subscription, or of the document by which something was bought; of a grant by
    /// hand the package.
    pub id: String,
    /// True for live, false for test; `None` for a grant by hand.
    pub livemode: Option<bool>,
    /// The billing account that pays.
    pub account: Option<String>,
    /// The verdict under the policy; `None` if it does not count.
    pub verdict: Option<Verdict>,
    /// The reason of a verdict other than good, as a word of ours.
    pub reason: Option<&'static str>,
    /// The start of what the reason says.
    pub since: Option<Timestamp>,
    /// The reason for which it does not count.
    pub uncounted: Option<Uncounted>,
    /// The packages that it gives the customer now.
    pub gives: Vec<GivenPackage>,
    /// The products of which it gives the customer a licence now.
    pub licenses: BTreeSet<String>,
    /// The moment until which each price of a subscription is paid, as far as payments show.
    pub paid_until: Vec<PaidUntil>,
    /// True if nobody ever paid for it.
    pub never_paid: bool,
    /// The disputes and refunded payments that hold it, or have ended it.
    pub held_by: Vec<String>,
    /// The effect of billing on a grant by hand.
    pub billing: Option<GrantBilling>,
    /// The time at which a grant by hand runs out.
    pub expires_at: Option<Timestamp>,
    /// The next time at which a timer changes this.
    pub due_at: Option<Timestamp>,
    /// The same as a sentence.
    pub because: String,
}

/// A package that a source gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GivenPackage {
    /// The package and its versions.
    pub grant: PackageGrant,
    /// The price whose plan includes it; `None` for a grant by hand.
    pub price: Option<String>,
    /// Only what was released until then; `None`: everything.
    pub until: Option<Timestamp>,
}

/// A price and the moment until which it is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidUntil {
    /// The price.
    pub price: String,
    /// The moment.
    pub until: Timestamp,
}

/// The reason for which a source does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncounted {
    /// No status of it is known here.
    UnknownStatus,
    /// It waits for its first payment.
    Pending,
    /// None of its prices buys anything here.
    Foreign,
    /// None of its prices buys anything here, and some have no plan.
    UnmappedPrice,
    /// It ended without ever having begun.
    NeverBegan,
    /// Nobody ever paid for it, and the customer has grants by hand.
    NeverPaid,
    /// It was refunded in full, and the customer has grants by hand.
    Refunded,
    /// A grant by hand that follows billing.
    FollowsBilling,
    /// A grant by hand that has run out, beside others that have not.
    RanOut,
}

words!(Uncounted, all {
    UnknownStatus = "unknown_status",
    Pending = "pending",
    Foreign = "foreign",
    UnmappedPrice = "unmapped_price",
    NeverBegan = "never_began",
    NeverPaid = "never_paid",
    Refunded = "refunded",
    FollowsBilling = "follows_billing",
    RanOut = "ran_out",
});

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
    /// The verdict under the policy, disputes and refunds included; `None` if the subscription does
    /// not count.
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
    /// The features of its newest list, whether or not they have a plan.
    pub features: Vec<FeatureCause>,
    /// True if it has more features than that list says.
    pub features_incomplete: bool,
}

/// A feature of a billing account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureCause {
    /// The provider's id.
    pub id: String,
    /// The seller's own name of it.
    pub lookup_key: Option<String>,
    /// The id of its plan; `None` where packages have nothing to do with it.
    pub plan: Option<String>,
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
    /// The subscriptions that count or give otherwise from then on.
    pub subscriptions: Vec<String>,
    /// The same, the purchases, and the packages of grants by hand that run out.
    pub sources: Vec<String>,
    /// The subscriptions that are overdue from then on.
    pub overdue: Vec<String>,
}
