//! The assessment of one subscription: its standing, the times that follow from it, and what it
//! gives.
//!
//! All times here are the provider's; only timers are compared with the local `now`. A timer
//! results in its due time, never in the time at which it ran, so it does not matter if a worker
//! was away.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::standing::{Debts, Decided, decided};
use crate::domain::access::plan::{Plans, Price};
use crate::domain::billing::fact::{Item, SubscriptionState};
use crate::domain::billing::history::{FeatureHistory, SubscriptionHistory};
use crate::domain::billing::payment::Payment;
use crate::domain::id::{ObjectKey, Scope};
use crate::domain::policy::{EarlyEnd, Policy};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// The assessment of one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers to different questions; no two of them make one state"
)]
pub struct Assessment {
    /// The state that its newest facts result in; `None` while no known status was seen.
    pub state: Option<SubscriptionState>,
    /// The instant of these facts.
    pub decided_at: Option<Timestamp>,
    /// True if the facts allow another state too; the one with the least access was chosen.
    pub ambiguous: bool,
    /// The standing: good, failing, paused, pending or ended.
    pub standing: Standing,
    /// The verdict under the policy; `None` if the subscription does not count.
    pub verdict: Option<Verdict>,
    /// The reason of a verdict other than good, as a word of ours.
    pub reason: Option<&'static str>,
    /// The start of the current failure.
    pub failing_since: Option<Timestamp>,
    /// The start of the current pause.
    pub paused_since: Option<Timestamp>,
    /// The time of its end.
    pub ended_at: Option<Timestamp>,
    /// The newest instant at which it was known to be good.
    pub good_moment: Option<Timestamp>,
    /// The end of a period after which no word came for longer than the policy allows.
    pub silent_since: Option<Timestamp>,
    /// The next time at which a timer changes the assessment, if no event comes before.
    pub due_at: Option<Timestamp>,
    /// The prices that it gives now, whatever they buy.
    pub gives: Vec<Gift>,
    /// The features with a plan that it includes, as if it were good.
    pub features: BTreeSet<Price>,
    /// The instants of its payments that count, oldest first.
    pub paid_at: Vec<Timestamp>,
    /// The moment until which each of its prices is paid, as far as payments show.
    pub paid_until: Vec<(Price, Timestamp)>,
    /// True if nobody ever paid for it.
    pub never_paid: bool,
    /// True if money was paid for it, and all of it was given back or lost before it ended.
    pub given_back: bool,
    /// True if it leaves alone what an admin granted: it ended, or was paused, without anybody ever
    /// having had to pay.
    pub spares_grants: bool,
    /// True if none of its prices buys anything here, so that it does not count.
    pub is_foreign: bool,
}

/// A price that gives something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gift {
    /// The price.
    pub price: Price,
    /// Only what was released until then; `None`: everything.
    pub until: Option<Timestamp>,
}

/// The class of a subscription: where it stands with billing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Running and paid.
    Good,
    /// A payment failed; the subscription may still be within its grace.
    Failing,
    /// The subscription is paused.
    Paused,
    /// The first payment is outstanding: it grants nothing and takes nothing away.
    Pending,
    /// The subscription has ended.
    Ended,
    /// Only payments were seen, or only statuses that this version does not know: it does not
    /// count.
    Unknown,
}

words!(Standing, all {
    Good = "good",
    Failing = "failing",
    Paused = "paused",
    Pending = "pending",
    Ended = "ended",
    Unknown = "unknown",
});

/// The result of billing for a source of access or a customer, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Access as bought.
    Good,
    /// It has ended, or is paused, and what was paid for stays.
    Kept,
    /// A payment failed, and the grace is over.
    Failing,
    /// A dispute holds it.
    Held,
    /// It is paused.
    Paused,
    /// It has ended, and nothing stays.
    Ended,
}

words!(Verdict, all {
    Good = "good",
    Kept = "kept",
    Failing = "failing",
    Held = "held",
    Paused = "paused",
    Ended = "ended",
});

/// Everything that assessments depend on besides histories.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The app's policy.
    pub policy: &'a Policy,
    /// The app's plans.
    pub plans: &'a Plans,
    /// The local clock.
    pub now: Timestamp,
}

/// The part of the history of a subscription's account that it is assessed with.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfAccount<'a> {
    /// The time at which the provider deleted the account, even if the subscription became known only
    /// later.
    pub removed_at: Option<Timestamp>,
    /// Its features.
    pub features: Option<&'a FeatureHistory>,
}

/// Assesses a subscription with its payments. `though_lost`: as if no dispute had been lost, to see
/// what a dispute holds.
pub fn assessment(
    key: &ObjectKey,
    history: &SubscriptionHistory,
    payments: &[&Payment<'_>],
    account: OfAccount<'_>,
    terms: Terms<'_>,
    though_lost: bool,
) -> Assessment {
    // Something that was bought once pays for no period, whoever it was charged to.
    let payments = payments.iter().copied();
    let payments: Vec<_> = payments.filter(|it| it.pays_for_subscription()).collect();
    let payments = payments.as_slice();
    let debts = Debts::new(history, payments);
    let standing = payments
        .iter()
        .filter(|it| it.stands(though_lost) && !debts.owe(it));
    let assessor = Assessor {
        scope: &key.scope,
        history,
        payments,
        coverage: Coverage::new(standing.copied(), &history.had),
        debts,
        features: account.features,
        terms,
        though_lost,
    };
    assessor.assess(account.removed_at)
}

/// A subscription under assessment.
pub(super) struct Assessor<'a> {
    scope: &'a Scope,
    pub(super) history: &'a SubscriptionHistory,
    pub(super) payments: &'a [&'a Payment<'a>],
    pub(super) coverage: Coverage,
    pub(super) debts: Debts,
    pub(super) features: Option<&'a FeatureHistory>,
    pub(super) terms: Terms<'a>,
    pub(super) though_lost: bool,
}

impl Assessor<'_> {
    fn assess(&self, removed_at: Option<Timestamp>) -> Assessment {
        let mut it = Assessment {
            state: None,
            decided_at: None,
            ambiguous: false,
            standing: Standing::Unknown,
            verdict: None,
            reason: None,
            failing_since: None,
            paused_since: None,
            ended_at: None,
            good_moment: self.history.good_at.max(self.debts.healed_at),
            silent_since: None,
            due_at: None,
            gives: Vec::new(),
            features: BTreeSet::new(),
            paid_at: self.paid_at(),
            paid_until: (self.coverage.paid_until())
                .map(|(price, until)| (price.clone(), until))
                .collect(),
            never_paid: false,
            given_back: false,
            spares_grants: false,
            is_foreign: false,
        };
        let Some(decided) = decided(self.history) else {
            return it;
        };
        it.decided_at = Some(decided.at);
        it.ambiguous = decided.ambiguous;
        it.state = Some(decided.state.clone());
        let now = self.now(&decided.state);
        it.failing_since = self.debts.failing.map(|failing| failing.since);
        let end = self.end(&decided, removed_at, now);
        it.features = self.features_as_if_good(end);
        match end {
            Some(at) => self.set_ended(&mut it, at, now),
            None => self.set_running(&mut it, &decided, now),
        }
        if decided.state.test_clock.is_some() {
            it.due_at = None;
        }
        it.is_foreign = !self.buys(&it);
        if it.is_foreign || it.standing == Standing::Ended && !self.ever_began(&decided.state) {
            it.verdict = None;
            it.reason = None;
        }
        it
    }

    /// Returns the payments that count. A debit that was returned does not.
    pub(super) fn counting(&self) -> impl Iterator<Item = &Payment<'_>> {
        let payments = self.payments.iter().copied();
        payments.filter(|it| it.counts(self.though_lost) && !self.debts.owe(it))
    }

    fn paid_at(&self) -> Vec<Timestamp> {
        let paid = self.counting().filter_map(Payment::paid);
        let mut paid_at: Vec<Timestamp> = paid.map(|paid| paid.at).collect();
        paid_at.sort_unstable();
        paid_at
    }

    /// The time that timers are compared with: of an object on a test clock the newest instant of it and
    /// of its payments, which are on the same clock.
    fn now(&self, state: &SubscriptionState) -> Timestamp {
        if state.test_clock.is_none() {
            return self.terms.now;
        }
        let told = self.payments.iter().map(|it| it.history.newest);
        let newest = told.chain(self.history.newest()).max();
        newest.unwrap_or(self.terms.now)
    }

    /// Returns the time of the end, if it has come: the earliest of those that apply.
    fn end(
        &self,
        decided: &Decided,
        removed_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let policy = self.terms.policy;
        let told = decided.ended_at.into_iter().chain(removed_at).min();
        let scheduled = decided.state.cancel_at.filter(|at| *at <= now);
        let scheduled = scheduled.filter(|_| decided.ended_at.is_none());
        let given_up = self.debts.failing.and_then(|failing| {
            let passed = policy.end_after.has_passed(failing.since, now);
            let at = policy.end_after.after(failing.since);
            // A late word of the end does not move a date that had passed before it.
            (told.is_some() || passed).then_some(at)
        });
        let given_up = given_up.filter(|at| told.is_none_or(|told| *at < told));
        told.into_iter().chain(scheduled).chain(given_up).min()
    }

    fn set_ended(&self, it: &mut Assessment, at: Timestamp, now: Timestamp) {
        let policy = self.terms.policy;
        it.standing = Standing::Ended;
        it.ended_at = Some(at);
        let last = it.paid_until.iter().map(|(_, until)| *until).max();
        let last = last.filter(|_| policy.early_end == EarlyEnd::PaidUntil && self.is_early(at));
        it.ended_at = Some(last.unwrap_or(at));
        let left = self.left(last.unwrap_or(at), at, it.failing_since);
        it.gives = left.gives;
        it.never_paid = left.never_paid;
        it.given_back = left.given_back;
        if let Some(last) = last.filter(|last| now < *last) {
            it.standing = Standing::Good;
            it.verdict = Some(Verdict::Good);
            let is_later = |(_, until): &&(Price, Timestamp)| *until > now;
            let later: Vec<_> = it.paid_until.iter().filter(is_later).collect();
            for gift in &mut it.gives {
                let stays = gift.until == Some(last) && it.features.contains(&gift.price);
                gift.until = gift.until.filter(|_| !stays);
            }
            it.due_at = later.iter().map(|(_, until)| *until).min();
            it.gives
                .retain(|gift| later.iter().all(|(price, _)| *price != gift.price));
            it.gives.extend(later.into_iter().map(|(price, _)| Gift {
                price: price.clone(),
                until: None,
            }));
            return;
        }
        it.reason = Some("subscription_ended");
        let keeps = it.gives.iter().any(|gift| self.price_buys(&gift.price));
        it.verdict = Some(if keeps { Verdict::Kept } else { Verdict::Ended });
        it.spares_grants = it.never_paid && !keeps && !self.had_to_pay();
    }

    /// Reports whether any of its prices buys anything here: of its state, of its features, and of
    /// what it gives.
    fn buys(&self, it: &Assessment) -> bool {
        let items = it.items().iter().filter(|item| item.quantity != Some(0));
        items.map(Price::from).any(|price| self.price_buys(&price))
            || it.features.iter().any(|price| self.price_buys(price))
            || it.gives.iter().any(|gift| self.price_buys(&gift.price))
    }

    pub(super) fn has_plan(&self, price: &Price) -> bool {
        price.plan(self.scope, self.terms.plans).is_some()
    }

    pub(super) fn price_buys(&self, price: &Price) -> bool {
        price.buys(self.scope, self.terms.plans)
    }
}

/// Returns the prices of a state. An item of quantity 0 gives nothing.
pub(super) fn items(state: &SubscriptionState, until: Option<Timestamp>) -> Vec<Gift> {
    let bought = state.items.iter().filter(|item| item.quantity != Some(0));
    bought
        .map(|item| Gift {
            price: Price::from(item),
            until,
        })
        .collect()
}

impl Assessment {
    /// Returns the bought items; none while no state is known.
    pub fn items(&self) -> &[Item] {
        self.state.as_ref().map_or(&[], |state| &state.items)
    }

    /// Returns the prices of its state and its features as if it were good.
    pub fn as_if_good(&self) -> Vec<Gift> {
        let features = self.features.iter().cloned();
        let features = features.map(|price| Gift { price, until: None });
        let state = self.state.as_ref();
        let items = state.map_or_else(Vec::new, |state| items(state, None));
        items.into_iter().chain(features).collect()
    }
}
