//! Why a customer is shown as it is: as data, and in sentences.
//!
//! Worked out from the same [`Dossier`] as what is shown, so it cannot tell another story.
//! Nothing in it depends on the order in which events came: times are the provider's, except
//! those of what an admin did.

use crate::domain::apply::working_set::{Account, Subscription, WorkingSet};
use crate::domain::billing::assessment::{Assessment, Standing, Verdict};
use crate::domain::billing::fact::SubscriptionStatus;
use crate::domain::customer::dossier::{Dossier, Held, deciding};
use crate::domain::customer::row::Hold;
use crate::domain::id::{ObjectKey, Provider};
use crate::domain::identity::links::{Group, Tie, ties};
use crate::domain::time::Timestamp;

mod words;

/// Most steps that are foretold. A subscription has two at most: the end of a grace, and its own.
const MOST_STEPS: usize = 20;

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

/// Explains a customer of a working set that holds all accounts of the same addresses.
pub fn explain(working_set: &WorkingSet, group: &Group, now: Timestamp) -> Explanation {
    let dossier = Dossier::new(working_set, group, now);
    let shown = dossier.derive();
    let courtesy = shown
        .verdict
        .and_then(|verdict| dossier.courtesy_against(verdict));
    let held = dossier.held(shown.verdict.filter(|_| courtesy.is_none()));
    let mut explanation = Explanation {
        status: shown.status.as_str(),
        reason: shown.reason,
        frozen_at: shown.frozen_at,
        holds: holds(&dossier, &held, shown.verdict),
        courtesy: courtesy.map(|courtesy| CourtesyCause {
            since: courtesy.since,
            verdict: courtesy.verdict,
            until_good_after: courtesy.newest,
        }),
        waived: waived(&dossier),
        verdict: shown.verdict,
        subscriptions: dossier
            .subscriptions
            .iter()
            .map(|(subscription, assessment)| cause(&dossier, subscription, assessment))
            .collect(),
        accounts: accounts(working_set, &dossier),
        next: steps(working_set, group, shown.due_at, dossier),
        summary: Vec::new(),
    };
    explanation.summary =
        words::summary(&explanation, shown.status, shown.frozen_versions.is_some());
    explanation
}

fn holds(dossier: &Dossier<'_>, held: &[Held], verdict: Option<Verdict>) -> Vec<HoldCause> {
    let decides = deciding(held);
    let of_verdict = || {
        let mut all = dossier.subscriptions.iter();
        let ids = all
            .by_ref()
            .filter(|(_, assessment)| assessment.verdict == verdict);
        ids.map(|(it, _)| it.key.id.clone()).collect()
    };
    held.iter()
        .map(|it| HoldCause {
            hold: it.hold,
            status: it.status.as_str(),
            reason: it.reason.clone(),
            decides: decides.is_some_and(|decides| std::ptr::eq(decides, it)),
            since: it.since,
            subject: it.subject.as_ref().map(|key| key.id.clone()),
            subscriptions: match it.hold {
                Hold::Billing => of_verdict(),
                Hold::Manual | Hold::Dispute | Hold::Refund => Vec::new(),
            },
        })
        .collect()
}

fn waived(dossier: &Dossier<'_>) -> Vec<String> {
    let rows = dossier.rows.iter();
    let mut waived: Vec<String> = rows
        .flat_map(|row| &row.waivers)
        .map(|key| key.id.clone())
        .collect();
    waived.sort();
    waived.dedup();
    waived
}

fn cause(
    dossier: &Dossier<'_>,
    subscription: &Subscription,
    assessment: &Assessment,
) -> SubscriptionCause {
    let key = &subscription.key;
    let state = assessment.state.as_ref();
    let owner = |account: &&&Account| Some(&account.key) == subscription.account.as_ref();
    let removed_at = dossier
        .accounts
        .iter()
        .find(owner)
        .and_then(|account| account.history.removed_at);
    SubscriptionCause {
        provider: key.scope.provider,
        id: key.id.clone(),
        livemode: key.scope.livemode,
        account: subscription.account.as_ref().map(|key| key.id.clone()),
        status: state.map(|state| SubscriptionStatus::as_str(&state.status).to_owned()),
        standing: assessment.standing,
        verdict: assessment.verdict,
        decided_at: assessment.decided_at,
        ambiguous: assessment.ambiguous,
        failing_since: assessment.failing_since,
        paused_since: assessment.paused_since,
        ended_at: assessment.ended_at,
        cancel_at: state.and_then(|state| state.cancel_at),
        due_at: assessment.due_at,
        because: words::subscription(&key.id, assessment, removed_at, dossier.policy),
    }
}

fn accounts(working_set: &WorkingSet, dossier: &Dossier<'_>) -> Vec<AccountCause> {
    let keys: Vec<ObjectKey> = dossier.accounts.iter().map(|it| it.key.clone()).collect();
    let mut ties = ties(working_set, &keys);
    let accounts = dossier.accounts.iter();
    accounts
        .map(|account| AccountCause {
            provider: account.key.scope.provider,
            id: account.key.id.clone(),
            livemode: account.key.scope.livemode,
            tie: ties.remove(&account.key).unwrap_or(Tie::Own),
            removed_at: account.history.removed_at,
        })
        .collect()
}

/// What comes when nothing comes: the customer derived at each due time in turn.
fn steps<'a>(
    working_set: &'a WorkingSet,
    group: &Group,
    mut due: Option<Timestamp>,
    mut before: Dossier<'a>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(at) = due.filter(|_| steps.len() < MOST_STEPS) {
        let after = Dossier::new(working_set, group, at);
        let shown = after.derive();
        let pairs = before.subscriptions.iter().zip(&after.subscriptions);
        let changed = pairs
            .filter(|((_, was), (_, is))| (was.standing, was.verdict) != (is.standing, is.verdict));
        steps.push(Step {
            at,
            status: shown.status.as_str(),
            reason: shown.reason,
            subscriptions: changed.map(|((it, _), _)| it.key.id.clone()).collect(),
        });
        due = shown.due_at;
        before = after;
    }
    steps
}
