//! How a subscription stands that has not ended: good, failing, paused or pending.

use super::assessment::{Assessment, Assessor, Standing, Verdict};
use super::standing::{Decided, Failing, Pause, pause};
use crate::domain::billing::fact::{SubscriptionState, SubscriptionStatus};
use crate::domain::billing::history::MarkKind;
use crate::domain::policy::{OnCollectionPause, OnPause, OnPaymentFailed, OnSilence};
use crate::domain::time::Timestamp;

impl Assessor<'_> {
    pub(super) fn set_running(&self, it: &mut Assessment, decided: &Decided, now: Timestamp) {
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
        it.gives = self.all_of(state);
        it.due_at = state.cancel_at;
        let Some(period_end) = state.period_end else {
            return;
        };
        let paid = self.payments.iter().filter_map(|payment| payment.paid());
        let newest_word = paid.map(|paid| paid.at).max().max(Some(at));
        // The event that tells of a renewal can be lost while its payment is known.
        let paid_until = it.paid_until.iter().map(|(_, until)| *until).max();
        let known = newest_word.max(paid_until);
        let since = known.map_or(period_end, |known| known.max(period_end));
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
                it.gives = self.all_of(state);
            }
            OnPause::Freeze => {
                it.gives = self.left(since, since, None).gives;
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
        // Under `keep` the end of the grace changes nothing.
        let suspends = in_grace && policy.on_payment_failed != OnPaymentFailed::Keep;
        let grace_end = suspends.then(|| policy.suspend_after.after(failing.since));
        let end = policy.end_after.after(failing.since);
        it.due_at = grace_end
            .into_iter()
            .chain(state.cancel_at)
            .chain([end])
            .min();
        if in_grace || policy.on_payment_failed == OnPaymentFailed::Keep {
            it.verdict = Some(Verdict::Good);
            it.gives = self.all_of(state);
            return;
        }
        it.reason = Some("payment_failed");
        it.verdict = Some(Verdict::Failing);
        if policy.on_payment_failed == OnPaymentFailed::Freeze {
            it.gives = self
                .left(failing.since, failing.since, Some(failing.since))
                .gives;
            if it.gives.iter().any(|gift| self.price_buys(&gift.price)) {
                it.verdict = Some(Verdict::Kept);
            }
        }
    }
}
