//! The course of subscriptions: renewals, failures, retries, pauses and ends.

use serde_json::Value;

use super::{DAY, END_AFTER, HOUR, Life, MONTH, Step};
use crate::domain::time::Timestamp;
use crate::simulate::person::{Phase, Subscription};
use crate::simulate::provider::Provider;
use crate::simulate::wire::{self, Entry, Turn, paddle, stripe};

/// Attempts to collect before a provider gives up.
const RETRIES: u32 = 3;

impl Life {
    /// Changes a subscription and posts all events of that change.
    pub(super) fn turn(
        &mut self,
        subscription: usize,
        turn: Turn,
        change: impl FnOnce(&mut Subscription, Timestamp),
    ) {
        let account = self.subscription(subscription).account;
        let provider = self.provider(account);
        let before = self.render(subscription);
        let at = self.pass(provider);
        let it = &mut self.person.subscriptions[subscription];
        it.has_circled = false;
        change(it, at);
        match it.phase {
            Phase::Active | Phase::Trialing => {
                it.failing_since = None;
                it.has_begun = true;
            }
            Phase::PastDue | Phase::Unpaid => {
                it.failing_since.get_or_insert(at);
            }
            Phase::Incomplete | Phase::IncompleteExpired | Phase::Paused | Phase::Canceled => {}
        }
        let after = self.render(subscription);
        let previous = wire::previous(&before, &after);
        for (index, event_type) in turn.event_types(provider).iter().enumerate() {
            let mut entry = Entry::new(event_type, after.clone());
            entry.previous =
                (*event_type == "customer.subscription.updated").then(|| previous.clone());
            entry.is_called = turn.is_asked_for();
            // The events of one change share an instant, or follow at once.
            let at = if index == 0 || self.draw.chance(0.4) {
                at
            } else {
                self.pass(provider)
            };
            self.post(account, at, entry);
        }
    }

    fn render(&self, subscription: usize) -> Value {
        let it = self.subscription(subscription);
        let account = &self.person.accounts[it.account];
        match account.provider {
            Provider::Stripe => stripe::subscription(account, it),
            Provider::Paddle => paddle::subscription(account, it),
        }
    }

    pub(super) fn period_end(&mut self, subscription: usize) {
        let it = self.subscription(subscription);
        if it.cancel_at.is_some() {
            return self.cancel(subscription, None);
        }
        if it.pause_at.is_some() {
            return self.pause(subscription);
        }
        let (phase, collects) = (it.phase, !it.is_collection_paused);
        self.turn(subscription, Turn::Updated, |it, _| {
            it.period = (it.period.1, it.period.1 + MONTH);
        });
        let end = self.subscription(subscription).period.1;
        self.plan_for(end, subscription, Step::PeriodEnd);
        if phase == Phase::Active && collects {
            match self.provider_of(subscription) {
                // Stripe leaves the invoice open to changes for an hour.
                Provider::Stripe => {
                    self.draft_invoice(subscription);
                    let at = self.second() + HOUR;
                    self.plan_for(at, subscription, Step::Charge);
                }
                Provider::Paddle => self.charge(subscription),
            }
        }
    }

    /// Makes the first attempt to collect a renewal.
    pub(super) fn charge(&mut self, subscription: usize) {
        if self.subscription(subscription).phase != Phase::Active {
            return;
        }
        let grace_ends = self.second() + END_AFTER;
        if self.span.is_edge(grace_ends) || !self.draw.chance(0.18) {
            self.paid(subscription, "subscription_cycle");
            self.maybe_whim(subscription, 0.3);
            return;
        }
        self.fails(subscription, 1, false);
        self.turn(subscription, Turn::PastDue, |it, _| {
            it.phase = Phase::PastDue;
        });
        let at = self.second() + 3 * DAY;
        self.plan_for(at, subscription, |due| Step::Retry(due, 1));
        self.maybe_whim(subscription, 0.1);
    }

    pub(super) fn retry(&mut self, subscription: usize, attempt: u32) {
        if self.subscription(subscription).phase != Phase::PastDue {
            return;
        }
        if self.draw.chance(0.45) {
            return self.recover(subscription);
        }
        let is_last = attempt >= RETRIES;
        self.fails(subscription, attempt + 1, is_last);
        if is_last {
            self.give_up(subscription);
        } else {
            let at = self.second() + self.draw.between(3 * DAY, 6 * DAY);
            self.plan_for(at, subscription, |due| Step::Retry(due, attempt + 1));
        }
    }

    fn recover(&mut self, subscription: usize) {
        self.paid(subscription, "subscription_cycle");
        self.turn(subscription, Turn::Recovered, |it, _| {
            it.phase = Phase::Active;
        });
        self.maybe_whim(subscription, 0.3);
    }

    /// Ends the retries. What then happens is a setting of the seller's account; all variants occur
    /// here.
    fn give_up(&mut self, subscription: usize) {
        match (self.provider_of(subscription), self.draw.index(10)) {
            (Provider::Stripe, 0..4) | (Provider::Paddle, 0..6) => {
                return self.cancel(subscription, Some("payment_failed"));
            }
            (Provider::Paddle, _) => return self.pause(subscription),
            (Provider::Stripe, 4..8) => {
                self.turn(subscription, Turn::Updated, |it, _| {
                    it.phase = Phase::Unpaid;
                });
            }
            (Provider::Stripe, _) => {}
        }
        if self.draw.chance(0.6) {
            let at = self.second() + self.draw.between(DAY, 25 * DAY);
            self.plan_for(at, subscription, Step::Settle);
        }
    }

    /// Long after the last retry the customer pays, or the seller ends it.
    pub(super) fn settle(&mut self, subscription: usize) {
        let phase = self.subscription(subscription).phase;
        if !matches!(phase, Phase::PastDue | Phase::Unpaid) {
            return;
        }
        if phase == Phase::Unpaid && self.draw.chance(0.4) {
            // An older invoice is paid by hand. Stripe leaves the status, for the newest is not.
            self.paid(subscription, "subscription_cycle");
        } else if self.draw.chance(0.6) {
            self.recover(subscription);
        } else {
            self.cancel(subscription, Some("payment_failed"));
        }
    }

    pub(super) fn cancel(&mut self, subscription: usize, reason: Option<&'static str>) {
        self.forget_plans(subscription);
        let provider = self.provider_of(subscription);
        self.turn(subscription, Turn::Canceled, |it, at| {
            it.phase = Phase::Canceled;
            it.ended_at = Some(at);
            it.end_reason = reason.or(Some("cancellation_requested"));
            it.asked_to_cancel_at.get_or_insert(at.seconds());
            if provider == Provider::Paddle {
                it.cancel_at = None;
                it.pause_at = None;
            }
        });
        if self.draw.chance(0.25) {
            let at = self.second() + self.draw.between(DAY, 40 * DAY);
            let account = self.subscription(subscription).account;
            self.plan(at, Step::SignUp(account));
        }
    }

    pub(super) fn pause(&mut self, subscription: usize) {
        self.forget_plans(subscription);
        self.turn(subscription, Turn::Paused, |it, at| {
            it.phase = Phase::Paused;
            it.paused_at = Some(at);
            it.pause_at = None;
            it.cancel_at = None;
        });
        if self.draw.chance(0.6) {
            let at = self.second() + self.draw.between(DAY, 60 * DAY);
            self.plan_for(at, subscription, Step::Resume);
        }
    }

    pub(super) fn resume(&mut self, subscription: usize) {
        if self.subscription(subscription).phase != Phase::Paused {
            return;
        }
        self.turn(subscription, Turn::Resumed, |it, at| {
            it.phase = Phase::Active;
            it.paused_at = None;
            it.period = (at.seconds(), at.seconds() + MONTH);
        });
        self.paid(subscription, "subscription_cycle");
        let end = self.subscription(subscription).period.1;
        self.plan_for(end, subscription, Step::PeriodEnd);
        self.maybe_whim(subscription, 0.3);
    }
}
