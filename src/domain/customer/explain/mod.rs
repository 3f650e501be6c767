//! Explains the derived state of a customer, as data and in sentences.
//!
//! The explanation comes from the same [`Dossier`] as the derived state, so the two cannot differ.
//! Nothing in it depends on the order of events: times are the provider's, except those of admin
//! acts.

use std::collections::BTreeSet;

use crate::domain::access::plan::Price;
use crate::domain::apply::working_set::{Account, Subscription, WorkingSet};
use crate::domain::billing::assessment::{Assessment, Verdict};
use crate::domain::billing::fact::SubscriptionStatus;
use crate::domain::billing::feature::{Feature, FeatureList};
use crate::domain::customer::dossier::Dossier;
use crate::domain::customer::dossier_holds::Held;
use crate::domain::customer::flag::FlagKind;
use crate::domain::customer::row::Hold;
use crate::domain::customer::source::{Source, SourceKind};
use crate::domain::id::ObjectKey;
use crate::domain::identity::group::Group;
use crate::domain::identity::register::{Tie, ties};
use crate::domain::time::Timestamp;

mod explanation;
mod source;
mod source_words;
mod words;

pub use explanation::{
    AccountCause, CourtesyCause, Explanation, FeatureCause, GivenPackage, HoldCause, PaidUntil,
    SourceCause, Step, SubscriptionCause, Uncounted,
};

/// Maximum number of predicted steps. A subscription has few: the end of its grace, its own end,
/// and those of its prices.
const MOST_STEPS: usize = 20;

/// Explains a customer. The working set must contain all accounts of the same addresses.
pub fn explain(working_set: &WorkingSet, group: &Group, now: Timestamp) -> Explanation {
    let dossier = Dossier::new(working_set, group, now);
    let shown = dossier.derive();
    let courtesy = shown
        .verdict
        .and_then(|verdict| dossier.courtesy_against(verdict));
    let held = dossier.held(shown.verdict.filter(|_| courtesy.is_none()));
    let sources = source::sources(&dossier, &shown, now);
    let subscriptions = dossier
        .subscriptions
        .iter()
        .zip(&dossier.sources)
        .zip(&sources);
    let subscriptions = subscriptions
        .map(|(((it, assessment), source), told)| cause(it, assessment, source, &told.because))
        .collect();
    let mut explanation = Explanation {
        status: shown.status.as_str(),
        reason: shown.reason,
        frozen_at: shown.frozen_at,
        holds: holds(&dossier, &held),
        courtesy: courtesy.map(|courtesy| CourtesyCause {
            since: courtesy.since,
            verdict: courtesy.verdict,
            until_good_after: courtesy.newest,
        }),
        waived: waived(&dossier),
        paid_though_held: paid_though_held(&dossier),
        verdict: shown.verdict,
        sources,
        subscriptions,
        accounts: accounts(working_set, &dossier),
        next: steps(working_set, group, (now, shown.due_at), dossier),
        summary: Vec::new(),
    };
    explanation.summary =
        words::summary(&explanation, shown.status, shown.frozen_versions.is_some());
    explanation
}

fn holds(dossier: &Dossier<'_>, held: &[Held]) -> Vec<HoldCause> {
    let decides = Dossier::deciding(held);
    let cause = |it: &Held| {
        let (verdict, sources) = behind(dossier, it);
        let subscriptions = sources
            .iter()
            .filter(|it| it.kind == SourceKind::Subscription);
        let payment = it.subject.as_ref().filter(|_| it.hold == Hold::Refund);
        let payment = payment.and_then(|key| dossier.payments.all.get(key));
        let refunds = payment.into_iter().flat_map(|it| &it.refunds);
        HoldCause {
            hold: it.hold,
            status: it.status.as_str(),
            reason: it.reason.clone(),
            decides: decides.is_some_and(|decides| std::ptr::eq(decides, it)),
            since: it.since,
            subject: it.subject.as_ref().map(|key| key.id.clone()),
            refunds: refunds.map(|refund| refund.key.id.clone()).collect(),
            subscriptions: ids(subscriptions.copied()),
            sources: ids(sources.iter().copied()),
            verdict,
        }
    };
    held.iter().map(cause).collect()
}

/// Returns the sources that a hold rests on or acts on; of billing also the verdict that they share.
fn behind<'d>(dossier: &'d Dossier<'_>, held: &Held) -> (Option<Verdict>, Vec<&'d Source>) {
    let sources = dossier.sources.iter();
    match held.hold {
        Hold::Manual => (None, Vec::new()),
        Hold::Billing => {
            let leads = |source: &&Source| {
                let own = source.own.filter(|_| source.verdict.is_some());
                own.and_then(|own| dossier.status_of(own)) == Some(held.status)
            };
            let best = sources.clone().filter(leads).filter_map(|it| it.own).min();
            let same = sources.filter(leads).filter(|it| it.own == best);
            (best, same.collect())
        }
        Hold::Dispute | Hold::Refund => {
            let acting = dossier.actions.acting.iter();
            let acting = acting.filter(|it| Some(&it.subject) == held.subject.as_ref());
            let places: BTreeSet<usize> = acting.map(|it| it.source).collect();
            let held = places.into_iter();
            (
                None,
                held.filter_map(|place| dossier.sources.get(place))
                    .collect(),
            )
        }
    }
}

/// Returns the ids of sources, each once.
fn ids<'s>(sources: impl Iterator<Item = &'s Source>) -> Vec<String> {
    let keys: BTreeSet<&String> = sources
        .filter_map(|it| Some(&it.key.as_ref()?.id))
        .collect();
    keys.into_iter().cloned().collect()
}

fn paid_though_held(dossier: &Dossier<'_>) -> Vec<String> {
    let flags = dossier.actions.flags.iter();
    let flags = flags.filter(|flag| flag.kind == FlagKind::PaidThoughHeld);
    flags.map(|flag| flag.subject.clone()).collect()
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
    subscription: &Subscription,
    assessment: &Assessment,
    source: &Source,
    because: &str,
) -> SubscriptionCause {
    let key = &subscription.key;
    let state = assessment.state.as_ref();
    SubscriptionCause {
        provider: key.scope.provider,
        id: key.id.clone(),
        livemode: key.scope.livemode,
        account: subscription.account.as_ref().map(|key| key.id.clone()),
        status: state.map(|state| SubscriptionStatus::as_str(&state.status).to_owned()),
        standing: assessment.standing,
        verdict: source.verdict,
        decided_at: assessment.decided_at,
        ambiguous: assessment.ambiguous,
        failing_since: assessment.failing_since,
        paused_since: assessment.paused_since,
        ended_at: assessment.ended_at,
        cancel_at: state.and_then(|state| state.cancel_at),
        due_at: assessment.due_at,
        because: because.to_owned(),
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
            features: features(working_set, account),
            features_incomplete: list_of(account).incomplete,
        })
        .collect()
}

fn list_of(account: &Account) -> FeatureList {
    let current = account.history.features.current();
    current.map(|decided| decided.state).unwrap_or_default()
}

fn features(working_set: &WorkingSet, account: &Account) -> Vec<FeatureCause> {
    let features = list_of(account).features.into_iter();
    let cause = |feature: Feature| {
        let price = Price::from(&feature);
        let plan = price.plan(&account.key.scope, &working_set.plans);
        FeatureCause {
            plan: plan.map(|(id, _)| id.clone()),
            id: feature.id,
            lookup_key: feature.lookup_key,
        }
    };
    features.map(cause).collect()
}

/// Predicts the steps if no event comes, by deriving the customer at each due time in turn.
fn steps<'a>(
    working_set: &'a WorkingSet,
    group: &Group,
    (mut now, mut due): (Timestamp, Option<Timestamp>),
    mut before: Dossier<'a>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(at) = due.filter(|_| steps.len() < MOST_STEPS) {
        let after = Dossier::new(working_set, group, at);
        let shown = after.derive();
        let pairs = before.sources.iter().zip(&after.sources);
        let changed = pairs.filter(|(was, is)| {
            (was.verdict, was.reason, &was.gives) != (is.verdict, is.reason, &is.gives)
        });
        let changed: Vec<&Source> = changed.map(|(_, is)| is).collect();
        let subscriptions = changed
            .iter()
            .filter(|it| it.kind == SourceKind::Subscription);
        let subscriptions = ids(subscriptions.copied());
        let mut sources = ids(changed.iter().copied());
        let grants = after.grants.iter();
        let ran_out = grants.filter(|it| it.is_live(now) && !it.is_live(at));
        sources.extend(ran_out.map(|it| it.grant.package.clone()));
        let pairs = before.subscriptions.iter().zip(&after.subscriptions);
        let silent = pairs.filter(|((_, was), (_, is))| {
            was.silent_since.is_none() && is.silent_since.is_some() && !is.is_foreign
        });
        steps.push(Step {
            at,
            status: shown.status.as_str(),
            reason: shown.reason,
            subscriptions,
            sources,
            overdue: silent.map(|((it, _), _)| it.key.id.clone()).collect(),
        });
        due = shown.due_at;
        now = at;
        before = after;
    }
    steps
}
