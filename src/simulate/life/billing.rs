//! The course of subscriptions: renewals, failures, retries, pauses and ends.

use serde_json::Value;

use super::{DAY, HOUR, Life, MONTH, Step};
use crate::domain::time::Timestamp;
use crate::simulate::person::{Document, Phase, Subscription};
use crate::simulate::provider::Provider;
use crate::simulate::wire::{self, Entry, Turn, paddle, stripe};

/// Attempts to collect before a provider gives up.
const RETRIES: u32 = 3;

/// Stripe's reason of a pause because nobody paid.
const NEVER_PAID: &str = "final_payment_failure";

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
        if it.phase != Phase::Paused {
            it.pause_reason = None;
        }
        match it.phase {
            Phase::Active | Phase::Trialing => {
                it.failing_since = None;
                it.has_begun = true;
            }
            Phase::PastDue | Phase::Unpaid => {
                it.failing_since.get_or_insert(at);
            }
            // A pause that somebody wanted ends the failure; one by the provider goes on with it, and
            // Paddle does not say which of both it is.
            Phase::Paused
                if provider == Provider::Stripe && it.pause_reason != Some(NEVER_PAID) =>
            {
                it.failing_since = None;
            }
            Phase::Incomplete | Phase::IncompleteExpired | Phase::Paused | Phase::Canceled => {}
        }
        it.told = it.phase;
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
            if provider == Provider::Paddle && turn == Turn::Created {
                let it = self.subscription(subscription);
                let first = it.first_bill.map(|bill| &self.person.bills[bill].id);
                entry.object["transaction_id"] = serde_json::json!(first);
            }
            self.person.subscriptions[subscription].told_at = Some(at);
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
            return self.pause(subscription, None);
        }
        let is_billed =
            !it.is_collection_paused && matches!(it.phase, Phase::Active | Phase::Unpaid);
        let (phase, period) = (it.phase, (it.period.1, it.period.1 + MONTH));
        let provider = self.provider_of(subscription);
        let mut bill = None;
        if is_billed && provider == Provider::Stripe {
            let made = self.bill_period(subscription, "subscription_cycle", period, false);
            self.owe(subscription, made);
            bill = Some(made);
        }
        self.turn(subscription, Turn::Updated, |it, _| it.period = period);
        self.plan_for(period.1, subscription, Step::PeriodEnd);
        match (provider, bill) {
            // Stripe leaves the invoice open to changes for an hour; of an unpaid subscription it
            // stays a draft.
            (Provider::Stripe, Some(bill)) => {
                self.draft(bill);
                let at = self.second() + HOUR;
                self.plan_for(at, subscription, |due| Step::Charge(due, bill));
            }
            (Provider::Paddle, _) if is_billed && phase == Phase::Active => {
                self.renew_at_paddle(subscription);
            }
            _ => {}
        }
    }

    pub(super) fn renew_at_paddle(&mut self, subscription: usize) {
        let period = self.subscription(subscription).period;
        let bill = self.bill_period(subscription, "subscription_recurring", period, false);
        self.owe(subscription, bill);
        self.start_billed(bill);
        self.charge(subscription, bill);
    }

    /// Makes the first attempt to collect a renewal.
    pub(super) fn charge(&mut self, subscription: usize, bill: usize) {
        if self.subscription(subscription).phase != Phase::Active {
            return;
        }
        if !self.may_fail() || !self.draw.chance(0.18) {
            self.pay(bill);
            self.maybe_whim(subscription, 0.3);
            return;
        }
        self.fails(bill, 1, false);
        self.turn(subscription, Turn::PastDue, |it, _| {
            it.phase = Phase::PastDue;
        });
        let at = self.second() + 3 * DAY;
        self.plan_for(at, subscription, |due| Step::Retry(due, 1));
        self.maybe_whim(subscription, 0.1);
    }

    /// The bank takes back a payment that had come (Stripe).
    pub(super) fn return_debit(&mut self, bill: usize) {
        let it = &self.person.bills[bill];
        let Some(subscription) = it.subscription.filter(|_| it.form == Document::Invoice) else {
            return;
        };
        let is_whole = it.refunded == 0 && !self.person.disputes.iter().any(|it| it.bill == bill);
        let of = self.subscription(subscription);
        let is_newest = of.phase == Phase::Active && of.latest_bill == Some(bill);
        if !is_whole || !is_newest || of.told != of.phase || !self.may_fail() {
            return;
        }
        self.person.bills[bill].is_returned = true;
        self.owe(subscription, bill);
        self.fails(bill, 2, false);
        self.turn(subscription, Turn::PastDue, |it, _| {
            it.phase = Phase::PastDue;
        });
        let at = self.second() + 3 * DAY;
        self.plan_for(at, subscription, |due| Step::Retry(due, 1));
    }

    pub(super) fn retry(&mut self, subscription: usize, attempt: u32) {
        let it = self.subscription(subscription);
        let Some(bill) = it.open_bill.filter(|_| it.phase == Phase::PastDue) else {
            return;
        };
        if self.draw.chance(0.45) {
            return self.recover(subscription);
        }
        if self.draw.chance(0.15) {
            // Something else is paid, which heals nothing.
            self.bill_beside(subscription);
        }
        let is_last = attempt >= RETRIES;
        self.fails(bill, attempt + 1, is_last);
        if is_last {
            self.give_up(subscription);
        } else {
            let at = self.second() + self.draw.between(3 * DAY, 6 * DAY);
            self.plan_for(at, subscription, |due| Step::Retry(due, attempt + 1));
        }
    }

    /// What is owed is paid.
    fn recover(&mut self, subscription: usize) {
        let it = self.subscription(subscription);
        let Some(bill) = it.open_bill else {
            return;
        };
        let was_past_due = it.phase == Phase::PastDue;
        let was_returned = self.person.bills[bill].is_returned;
        self.pay(bill);
        if was_past_due && !was_returned && self.draw.chance(0.1) {
            // The update is lost for good, and the payment has to be enough.
            let it = &mut self.person.subscriptions[subscription];
            it.phase = Phase::Active;
            it.failing_since = None;
        } else {
            self.turn(subscription, Turn::Recovered, |it, _| {
                it.phase = Phase::Active;
            });
        }
        self.maybe_whim(subscription, 0.3);
    }

    /// Ends the retries. What then happens is a setting of the seller's account; all variants occur
    /// here.
    fn give_up(&mut self, subscription: usize) {
        match (self.provider_of(subscription), self.draw.index(10)) {
            (Provider::Stripe, 0..4) | (Provider::Paddle, 0..6) => {
                return self.cancel(subscription, Some("payment_failed"));
            }
            (Provider::Paddle, _) => return self.pause(subscription, None),
            (Provider::Stripe, 4) => return self.pause(subscription, Some(NEVER_PAID)),
            (Provider::Stripe, 5..8) => {
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
            match self.older_bill(subscription) {
                Some(bill) => self.pay(bill),
                None => self.bill_beside(subscription),
            }
        } else if self.draw.chance(0.6) {
            self.recover(subscription);
        } else {
            self.cancel(subscription, Some("payment_failed"));
        }
    }

    fn older_bill(&self, subscription: usize) -> Option<usize> {
        let latest = self.subscription(subscription).latest_bill;
        let bills = self.person.bills.iter().enumerate();
        let mut older = bills.filter(|(index, it)| {
            let is_open = it.paid_at.is_none() && it.reason == "subscription_cycle";
            it.subscription == Some(subscription) && is_open && Some(*index) != latest
        });
        older.next().map(|(index, _)| index)
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

    pub(super) fn pause(&mut self, subscription: usize, reason: Option<&'static str>) {
        self.forget_plans(subscription);
        self.turn(subscription, Turn::Paused, |it, at| {
            it.phase = Phase::Paused;
            it.pause_reason = reason;
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
        let now = self.second();
        let period = (now, now + MONTH);
        let provider = self.provider_of(subscription);
        let reason = match provider {
            Provider::Stripe => "subscription_cycle",
            Provider::Paddle => "subscription_recurring",
        };
        let bill = self.bill_period(subscription, reason, period, false);
        self.owe(subscription, bill);
        if provider == Provider::Paddle {
            self.start_billed(bill);
        }
        self.turn(subscription, Turn::Resumed, |it, _| {
            it.phase = Phase::Active;
            it.paused_at = None;
            it.period = period;
        });
        self.pay(bill);
        self.plan_for(period.1, subscription, Step::PeriodEnd);
        self.maybe_whim(subscription, 0.3);
    }
}
