//! The assessment of one subscription: its standing, the times that follow from it, and what it
//! gives.
//!
//! All times here are the provider's; only timers are compared with the local `now`. A timer
//! results in its due time, never in the time at which it ran, so it does not matter if a worker
//! was away.

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::standing::{Debts, Decided, Failing, Pause, decided, pause};
use crate::domain::access::plan::{Plans, Price};
use crate::domain::billing::fact::{Item, SubscriptionState, SubscriptionStatus};
use crate::domain::billing::history::{MarkKind, SubscriptionHistory};
use crate::domain::billing::payment::Payment;
use crate::domain::id::{ObjectKey, Provider};
use crate::domain::policy::{
    EarlyEnd, OnCollectionPause, OnEnd, OnEndUnpaid, OnPause, OnPaymentFailed, OnSilence, Policy,
};
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
    /// The moment until which each of its prices is paid, as far as payments show.
    pub paid_until: Vec<(Price, Timestamp)>,
    /// True if nobody ever paid for it.
    pub never_paid: bool,
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

/// Assesses a subscription with its payments. `removed_at` is the time at which the provider
/// deleted its account, even if the subscription became known only later. `though_lost`: as if no
/// dispute had been lost, to see what a dispute holds.
pub fn assessment(
    key: &ObjectKey,
    history: &SubscriptionHistory,
    payments: &[&Payment<'_>],
    removed_at: Option<Timestamp>,
    terms: Terms<'_>,
    though_lost: bool,
) -> Assessment {
    let debts = Debts::new(history, payments);
    let standing = payments
        .iter()
        .filter(|it| it.stands(though_lost) && !debts.owe(it));
    let assessor = Assessor {
        provider: key.scope.provider,
        history,
        payments,
        coverage: Coverage::new(standing.copied()),
        debts,
        terms,
        though_lost,
    };
    assessor.assess(removed_at)
}

/// A subscription under assessment.
struct Assessor<'a> {
    provider: Provider,
    history: &'a SubscriptionHistory,
    payments: &'a [&'a Payment<'a>],
    coverage: Coverage,
    debts: Debts,
    terms: Terms<'a>,
    though_lost: bool,
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
            paid_until: (self.coverage.paid_until())
                .map(|(price, until)| (price.clone(), until))
                .collect(),
            never_paid: false,
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
        match self.end(&decided, removed_at, now) {
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

    /// The time that timers are compared with: of an object on a test clock its newest instant.
    fn now(&self, state: &SubscriptionState) -> Timestamp {
        let on_clock = self.history.newest().filter(|_| state.test_clock.is_some());
        on_clock.unwrap_or(self.terms.now)
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
        let left = self.left(last.unwrap_or(at), it.failing_since);
        it.gives = left.gives;
        it.never_paid = left.never_paid;
        if last.is_some_and(|last| now < last) {
            it.standing = Standing::Good;
            it.verdict = Some(Verdict::Good);
            let is_later = |(_, until): &&(Price, Timestamp)| *until > now;
            let later: Vec<_> = it.paid_until.iter().filter(is_later).collect();
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

    fn set_running(&self, it: &mut Assessment, decided: &Decided, now: Timestamp) {
        let (state, policy) = (&decided.state, self.terms.policy);
        let collection_paused =
            state.collection_paused && policy.on_collection_pause == OnCollectionPause::Suspend;
        if state.status == SubscriptionStatus::Incomplete {
            it.standing = Standing::Pending;
        } else if let Some(failing) = self.debts.failing {
            self.set_failing(it, state, failing, now);
        } else if state.status == SubscriptionStatus::Paused {
            self.set_paused(it, state, decided.at);
        } else if collection_paused {
            it.standing = Standing::Failing;
            it.verdict = Some(Verdict::Failing);
            it.reason = Some("collection_paused");
            it.due_at = state.cancel_at;
        } else {
            self.set_good(it, state, decided.at, now);
        }
    }

    fn set_good(
        &self,
        it: &mut Assessment,
        state: &SubscriptionState,
        at: Timestamp,
        now: Timestamp,
    ) {
        let policy = self.terms.policy;
        it.standing = Standing::Good;
        it.verdict = Some(Verdict::Good);
        it.gives = items(state, None);
        it.due_at = state.cancel_at;
        let Some(period_end) = state.period_end else {
            return;
        };
        let paid = self.payments.iter().filter_map(|payment| payment.paid());
        let newest_word = paid.map(|paid| paid.at).max().max(Some(at));
        let since = newest_word.map_or(period_end, |word| word.max(period_end));
        if !policy.silence_after.has_passed(since, now) {
            let due = policy.silence_after.after(since);
            it.due_at = it.due_at.into_iter().chain([due]).min();
            return;
        }
        it.silent_since = Some(period_end);
        if policy.on_silence == OnSilence::Suspend {
            it.standing = Standing::Failing;
            it.verdict = Some(Verdict::Failing);
            it.reason = Some("overdue");
            it.gives = Vec::new();
        }
    }

    fn set_paused(&self, it: &mut Assessment, state: &SubscriptionState, at: Timestamp) {
        it.standing = Standing::Paused;
        let marks = &self.history.trail;
        let mut paused = marks.iter().filter(|mark| mark.kind == MarkKind::Paused);
        let since = paused.next().map_or(at, |mark| mark.at);
        it.paused_since = Some(since);
        it.due_at = state.cancel_at;
        it.reason = Some("subscription_paused");
        it.verdict = Some(Verdict::Paused);
        if pause(state) == Pause::TrialEnded {
            it.never_paid = true;
            it.spares_grants = true;
            return;
        }
        match self.terms.policy.on_pause {
            OnPause::Suspend => {}
            OnPause::Keep => {
                it.verdict = Some(Verdict::Good);
                it.reason = None;
                it.gives = items(state, None);
            }
            OnPause::Freeze => {
                it.gives = self.left(since, None).gives;
                if it.gives.iter().any(|gift| self.price_buys(&gift.price)) {
                    it.verdict = Some(Verdict::Kept);
                }
            }
        }
    }

    /// Sets a failing subscription: good until the grace is over, unless the provider has given up.
    fn set_failing(
        &self,
        it: &mut Assessment,
        state: &SubscriptionState,
        failing: Failing,
        now: Timestamp,
    ) {
        let policy = self.terms.policy;
        it.standing = Standing::Failing;
        let in_grace = !failing.given_up && !policy.suspend_after.has_passed(failing.since, now);
        let grace_end = in_grace.then(|| policy.suspend_after.after(failing.since));
        let end = policy.end_after.after(failing.since);
        it.due_at = grace_end
            .into_iter()
            .chain(state.cancel_at)
            .chain([end])
            .min();
        if in_grace || policy.on_payment_failed == OnPaymentFailed::Keep {
            it.verdict = Some(Verdict::Good);
            it.gives = items(state, None);
            return;
        }
        it.reason = Some("payment_failed");
        it.verdict = Some(Verdict::Failing);
        if policy.on_payment_failed == OnPaymentFailed::Freeze {
            it.gives = self.left(failing.since, Some(failing.since)).gives;
            if it.gives.iter().any(|gift| self.price_buys(&gift.price)) {
                it.verdict = Some(Verdict::Kept);
            }
        }
    }

    /// Reports whether the subscription was ended in the middle of a paid period, without failing
    /// and without any of that period's money having been given back.
    fn is_early(&self, at: Timestamp) -> bool {
        let reaches_past = |payment: &&&Payment<'_>| {
            let ends = payment.lines.iter().filter(|line| !line.once);
            ends.filter_map(|line| line.end).any(|end| end > at)
        };
        let given_back = self.payments.iter().filter(reaches_past);
        let given_back = given_back.map(|payment| payment.given_back());
        self.debts.failing.is_none()
            && self.coverage.paid_until().any(|(_, until)| until > at)
            && given_back.max().is_none_or(|amount| amount <= 0)
    }

    /// Returns what the subscription leaves if it ends at `at`.
    fn left(&self, at: Timestamp, failing_since: Option<Timestamp>) -> Left {
        let policy = self.terms.policy;
        let counting = |it: &&&Payment<'_>| it.counts(self.though_lost) && !self.debts.owe(it);
        let is_paid = self.payments.iter().any(|it| counting(&it));
        let never_paid = !is_paid && self.never_paid();
        let state = decided(self.history).map(|decided| decided.state);
        let bound = failing_since.map_or(at, |since| since.min(at));
        let as_if_paid = !is_paid || !self.coverage.is_known;
        let gives = if policy.on_end == OnEnd::Expire {
            Vec::new()
        } else if never_paid {
            let lost = |it: &&&Payment<'_>| {
                let had_money = it.paid().is_some_and(|paid| paid.money > 0);
                had_money && !it.stands(self.though_lost)
            };
            let kept = policy.on_end_unpaid == OnEndUnpaid::Freeze
                && !self.payments.iter().any(|it| lost(&it));
            state
                .filter(|_| kept)
                .map(|state| items(&state, Some(at)))
                .unwrap_or_default()
        } else if as_if_paid {
            let bound = if failing_since.is_some() {
                bound
            } else {
                self.first_failure(at)
            };
            let began = self.history.began.unwrap_or(bound);
            let ran = policy.freeze_after.after(began) <= bound || policy.freeze_after.is_zero();
            state
                .filter(|_| ran)
                .map(|state| items(&state, Some(bound)))
                .unwrap_or_default()
        } else {
            let began = self
                .history
                .began
                .unwrap_or(Timestamp::from_nanos(i64::MIN));
            let paid_time = self.coverage.paid_time(began, at);
            let ran = paid_time >= policy.freeze_after.duration();
            let paid = self.coverage.paid_until().filter(|_| ran);
            paid.map(|(price, until)| Gift {
                price: price.clone(),
                until: Some(until.min(at)),
            })
            .collect()
        };
        Left { gives, never_paid }
    }

    /// Returns the end of what is taken as paid: a renewal that failed and was never paid ends it.
    fn first_failure(&self, at: Timestamp) -> Timestamp {
        let unpaid = self.payments.iter();
        let unpaid = unpaid.filter(|it| it.paid().is_none() && it.is_renewal());
        let failed = unpaid.filter_map(|it| Some(it.history.failed?.first));
        failed.min().map_or(at, |failed| failed.min(at))
    }

    /// Reports whether nobody ever paid, given that no payment counts: one was paid and given back,
    /// lost or free; or one is known of a subscription that began here; or it never left its trial.
    fn never_paid(&self) -> bool {
        let seen = &self.history.seen;
        let was_paid = self.payments.iter().any(|payment| payment.paid().is_some());
        let began_here = self.history.seen_created && !self.payments.is_empty();
        let only_tried = [SubscriptionStatus::Trialing, SubscriptionStatus::Incomplete]
            .iter()
            .any(|status| seen.contains(status))
            && [
                SubscriptionStatus::Active,
                SubscriptionStatus::PastDue,
                SubscriptionStatus::Unpaid,
            ]
            .iter()
            .all(|status| !seen.contains(status));
        was_paid || began_here || only_tried
    }

    /// Reports whether anybody ever owed or paid money for it.
    fn had_to_pay(&self) -> bool {
        let seen = &self.history.seen;
        let owed = [SubscriptionStatus::PastDue, SubscriptionStatus::Unpaid];
        let paid = |payment: &&Payment<'_>| payment.paid().is_some_and(|paid| paid.money > 0);
        owed.iter().any(|status| seen.contains(status)) || self.payments.iter().any(paid)
    }

    /// Reports whether the subscription ever began. One whose first payment never came takes
    /// nothing away by ending; a cancellation without any other known fact does.
    fn ever_began(&self, state: &SubscriptionState) -> bool {
        let is_paid = self.payments.iter().any(|it| it.counts(self.though_lost));
        let expired = state.status == SubscriptionStatus::IncompleteExpired;
        let pending = self.history.seen.contains(&SubscriptionStatus::Incomplete);
        !expired && (is_paid || self.history.has_begun() || !pending)
    }

    /// Reports whether any of its prices buys anything here: of its state, and of what it gives.
    fn buys(&self, it: &Assessment) -> bool {
        let items = it.items().iter().filter(|item| item.quantity != Some(0));
        items.map(Price::from).any(|price| self.price_buys(&price))
            || it.gives.iter().any(|gift| self.price_buys(&gift.price))
    }

    fn price_buys(&self, price: &Price) -> bool {
        price.buys(self.provider, self.terms.plans)
    }
}

/// What an ended subscription leaves.
struct Left {
    gives: Vec<Gift>,
    never_paid: bool,
}

/// Returns the prices of a state. An item of quantity 0 gives nothing.
fn items(state: &SubscriptionState, until: Option<Timestamp>) -> Vec<Gift> {
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

    /// Returns the prices of its state as if it were good.
    pub fn as_if_good(&self) -> Vec<Gift> {
        self.state
            .as_ref()
            .map_or_else(Vec::new, |state| items(state, None))
    }
}

/// A subscription as it is shown and compared: what its customer or an admin would notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionView {
    /// The account that pays.
    pub account: Option<ObjectKey>,
    /// The provider's status; `None` while no known status was seen.
    pub status: Option<SubscriptionStatus>,
    /// The standing of the subscription.
    #[serde(rename = "class")]
    pub standing: Standing,
    /// The bought items.
    pub items: Vec<Item>,
    /// End of the paid period.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub period_end: Option<Timestamp>,
    /// The time of its scheduled end.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub cancel_at: Option<Timestamp>,
    /// True if the collection of payments is paused.
    pub collection_paused: bool,
    /// The start of the current failure.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub failing_since: Option<Timestamp>,
    /// The time of its end.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub ended_at: Option<Timestamp>,
    /// The newest time at which a payment of it failed.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub last_payment_failed_at: Option<Timestamp>,
    /// The time of the next try to collect what has failed and is not paid.
    #[serde(default, with = "crate::domain::time::rfc3339::option")]
    pub next_payment_attempt: Option<Timestamp>,
}

impl SubscriptionView {
    /// Makes the view of an assessment.
    pub fn new(
        assessment: &Assessment,
        account: Option<&ObjectKey>,
        payments: &[&Payment<'_>],
    ) -> Self {
        let state = assessment.state.as_ref();
        let failed = payments.iter().filter_map(|it| it.history.failed);
        let unpaid = payments.iter().filter(|it| it.paid().is_none());
        let next = unpaid.filter_map(|it| it.history.failed?.next_attempt);
        Self {
            account: account.cloned(),
            status: state.map(|s| s.status.clone()),
            standing: assessment.standing,
            items: assessment.items().to_vec(),
            period_end: state.and_then(|s| s.period_end),
            cancel_at: state.and_then(|s| s.cancel_at),
            collection_paused: state.is_some_and(|s| s.collection_paused),
            failing_since: assessment
                .failing_since
                .filter(|_| matches!(assessment.standing, Standing::Failing | Standing::Ended)),
            ended_at: assessment.ended_at,
            last_payment_failed_at: failed.map(|failed| failed.last).max(),
            next_payment_attempt: next.max(),
        }
    }
}
