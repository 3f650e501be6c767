//! Explains the derived state of a customer, as data and in sentences.
//!
//! The explanation comes from the same [`Dossier`] as the derived state, so the two cannot differ.
//! Nothing in it depends on the order of events: times are the provider's, except those of admin
//! acts.

use crate::domain::apply::working_set::{Account, Subscription, WorkingSet};
use crate::domain::billing::assessment::{Assessment, Verdict};
use crate::domain::billing::fact::SubscriptionStatus;
use crate::domain::customer::dossier::{Dossier, Held, deciding};
use crate::domain::customer::row::Hold;
use crate::domain::id::ObjectKey;
use crate::domain::identity::links::{Group, Tie, ties};
use crate::domain::time::Timestamp;

mod explanation;
mod words;

pub use explanation::{
    AccountCause, CourtesyCause, Explanation, HoldCause, Step, SubscriptionCause,
};

/// Maximum number of predicted steps. A subscription has at most two: the end of its grace, and its
/// own end.
const MOST_STEPS: usize = 20;

/// Explains a customer. The working set must contain all accounts of the same addresses.
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

/// Predicts the steps if no event comes, by deriving the customer at each due time in turn.
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
