//! What a subscription leaves when it ends: what was paid for, price by price, until the date that it
//! was paid to. What nobody ever paid for leaves nothing.

use super::assessment::{Assessor, Gift, items};
use super::standing::decided;
use crate::domain::billing::fact::{SubscriptionState, SubscriptionStatus};
use crate::domain::billing::payment::Payment;
use crate::domain::policy::{OnEnd, OnEndUnpaid};
use crate::domain::time::Timestamp;

/// What an ended subscription leaves.
pub(super) struct Left {
    pub(super) gives: Vec<Gift>,
    /// True if nobody ever paid for it.
    pub(super) never_paid: bool,
    /// True if money was paid for it, and none of it stayed.
    pub(super) given_back: bool,
}

impl Assessor<'_> {
    /// Reports whether the subscription was ended in the middle of a paid period, without failing
    /// and without any of that period's money having been given back.
    pub(super) fn is_early(&self, at: Timestamp) -> bool {
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

    /// Returns what the subscription leaves until `at`, having ended at `ended`, which is earlier where
    /// it goes on for as long as it is paid.
    pub(super) fn left(
        &self,
        at: Timestamp,
        ended: Timestamp,
        failing_since: Option<Timestamp>,
    ) -> Left {
        let policy = self.terms.policy;
        let never_paid = self.counting().next().is_none() && self.never_paid();
        let as_if_paid = !self.counting().any(Payment::shows_periods);
        let state = decided(self.history).map(|decided| decided.state);
        let bound = failing_since.map_or(at, |since| since.min(at));
        // What left the list of features since it failed did so because of that.
        let ended = failing_since.map_or(ended, |since| since.min(ended));
        let lost = |it: &&Payment<'_>| {
            let had_money = it.paid().is_some_and(|paid| paid.money > 0);
            had_money && !it.stands(self.though_lost)
        };
        let given_back = never_paid && self.payments.iter().any(lost);
        // The prices, and the moment until which anything of it is paid.
        let (mut gives, paid) = if policy.on_end == OnEnd::Expire {
            (Vec::new(), None)
        } else if never_paid {
            let kept = policy.on_end_unpaid == OnEndUnpaid::Freeze && !given_back;
            as_it_was(state.filter(|_| kept), at)
        } else if as_if_paid {
            let bound = if failing_since.is_some() {
                bound
            } else {
                self.first_failure(at)
            };
            let began = self.history.began.unwrap_or(bound);
            let ran = policy.freeze_after.after(began) <= bound || policy.freeze_after.is_zero();
            as_it_was(state.filter(|_| ran), bound)
        } else {
            let began = self
                .history
                .began
                .unwrap_or(Timestamp::from_nanos(i64::MIN));
            let paid_time = self.coverage.paid_time(began, at);
            let ran = paid_time >= policy.freeze_after.duration();
            let paid = self.coverage.paid_until().filter(|_| ran);
            let gives: Vec<Gift> = paid
                .map(|(price, until)| Gift {
                    price: price.clone(),
                    until: Some(until.min(at)),
                })
                .collect();
            let paid = gives.iter().filter_map(|gift| gift.until).max();
            (gives, paid)
        };
        gives.extend(
            paid.into_iter()
                .flat_map(|paid| self.features_left(paid, ended)),
        );
        Left {
            gives,
            never_paid,
            given_back,
        }
    }

    /// Returns the end of what is taken as paid: a renewal that failed and was never paid ends it.
    fn first_failure(&self, at: Timestamp) -> Timestamp {
        let unpaid = self.payments.iter();
        let unpaid = unpaid.filter(|it| it.paid().is_none() && it.is_renewal());
        let failed = unpaid.filter_map(|it| Some(it.history.failed?.first));
        failed.min().map_or(at, |failed| failed.min(at))
    }

    /// Reports whether nobody ever paid, given that no payment counts: one was paid, and given back or
    /// lost; or one is known of a subscription that began here; or it never left its trial. A free
    /// document of one that began before it was known here says nothing of those before.
    fn never_paid(&self) -> bool {
        let seen = &self.history.seen;
        let had_money = |payment: &&Payment<'_>| payment.paid().is_some_and(|paid| paid.cost > 0);
        let was_paid = self.payments.iter().any(had_money);
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
    pub(super) fn had_to_pay(&self) -> bool {
        let seen = &self.history.seen;
        let owed = [SubscriptionStatus::PastDue, SubscriptionStatus::Unpaid];
        let paid = |payment: &&Payment<'_>| payment.paid().is_some_and(|paid| paid.money > 0);
        owed.iter().any(|status| seen.contains(status)) || self.payments.iter().any(paid)
    }

    /// Reports whether the subscription ever began. One whose first payment never came takes
    /// nothing away by ending; a cancellation without any other known fact does.
    pub(super) fn ever_began(&self, state: &SubscriptionState) -> bool {
        let is_paid = self.payments.iter().any(|it| it.counts(self.though_lost));
        let expired = state.status == SubscriptionStatus::IncompleteExpired;
        let pending = self.history.seen.contains(&SubscriptionStatus::Incomplete);
        !expired && (is_paid || self.history.has_begun() || !pending)
    }
}

/// Returns the prices of a state until a moment, and the moment, if there is a state.
fn as_it_was(state: Option<SubscriptionState>, until: Timestamp) -> (Vec<Gift>, Option<Timestamp>) {
    let gives = state.as_ref().map(|state| items(state, Some(until)));
    (gives.unwrap_or_default(), state.map(|_| until))
}
