//! How people come: their accounts, and the beginnings of their subscriptions.

use super::{DAY, HOUR, Life, MONTH, Step};
use crate::domain::time::Timestamp;
use crate::simulate::person::{ActKind, Document, Form, Item, Phase, Subscription};
use crate::simulate::provider::{Provider, Side};
use crate::simulate::shop::{self, Price};
use crate::simulate::wire::stripe_money::Standing;
use crate::simulate::wire::{Entry, Turn, paddle, stripe};

impl Life {
    /// Decides when a person signs up, and with which accounts.
    pub(super) fn be_born(&mut self) {
        let latest = self.span.until - 2 * DAY;
        let start = self
            .draw
            .between(self.span.from, latest.max(self.span.from + 1));
        let first = self.draw.pick(Provider::Stripe, &[Provider::Paddle]);
        self.expect_account(first, Side::Own, start);
        if self.draw.chance(0.3) {
            let other = match (first, self.draw.chance(0.7)) {
                (Provider::Stripe, true) => Provider::Paddle,
                (Provider::Stripe | Provider::Paddle, _) => Provider::Stripe,
            };
            let later = start + self.draw.between(DAY, 4 * MONTH);
            self.expect_account(other, Side::Own, later);
        }
        self.expect_others(start);
        let is_identified = self.be_identified();
        if self.draw.chance(0.15) {
            self.be_made_by_an_admin();
        }
        self.plan_acts(is_identified);
    }

    /// Posts the account's first webhooks.
    pub(super) fn open(&mut self, account: usize) {
        let first_email = self.person.accounts[account].first_email.to_lowercase();
        let side = self.person.accounts[account].side;
        let earlier = self
            .person
            .accounts
            .iter()
            .enumerate()
            .filter(|(_, other)| {
                let is_same = other.first_email.to_lowercase() == first_email;
                is_same && !other.has_left_first_email && other.is_there() && other.side == side
            });
        // Whom an admin parted leads nobody.
        let earlier = earlier.filter(|(it, _)| self.person.put(*it) != Some(ActKind::Part));
        let follows = earlier.min_by_key(|(_, other)| other.opened);
        let follows = follows.map(|(index, _)| index);
        self.person.accounts[account].follows = follows;
        let (now, second) = (self.now, self.second());
        let imported = self.provider(account) == Provider::Paddle && self.draw.chance(0.15);
        let opened = &mut self.person.accounts[account];
        opened.opened = Some(now);
        opened.is_imported = imported;
        opened.addresses.insert(first_email, second);
        let shown = &self.person.accounts[account];
        let entry = match shown.provider {
            Provider::Stripe => Entry::called("customer.created", stripe::customer(shown)),
            Provider::Paddle if imported => {
                Entry::new("customer.imported", paddle::customer(shown))
            }
            Provider::Paddle => Entry::new("customer.created", paddle::customer(shown)),
        };
        self.say(account, entry);
        if self.provider(account) == Provider::Paddle {
            let kind = if imported {
                "address.imported"
            } else {
                "address.created"
            };
            let entry = Entry::new(kind, paddle::address(&self.person.accounts[account]));
            self.say(account, entry);
        }
        if imported {
            self.import(account);
        } else {
            self.sign_up(account);
        }
        self.plan_account(account);
    }

    /// Plans the further events of an account.
    fn plan_account(&mut self, account: usize) {
        let now = self.second();
        while self.draw.chance(0.35) {
            let at = now + self.draw.between(HOUR, 8 * MONTH);
            self.plan(at, Step::Contact(account));
        }
        if self.draw.chance(0.25) {
            let at = now + self.draw.between(DAY, 5 * MONTH);
            self.plan(at, Step::SignUp(account));
        }
        while self.draw.chance(0.2) {
            let at = now + self.draw.between(HOUR, 8 * MONTH);
            self.plan(at, Step::Purchase(account));
        }
        if self.provider(account) == Provider::Stripe && self.draw.chance(0.06) {
            let at = now + self.draw.between(DAY, 8 * MONTH);
            self.plan(at, Step::Remove(account));
        }
        while self.draw.chance(0.5) {
            let at = now + self.draw.between(0, 6 * MONTH);
            self.plan(at, Step::Noise(account));
        }
    }

    /// Makes a new subscription without posting it.
    fn add_subscription(&mut self, account: usize, phase: Phase) -> usize {
        let provider = self.provider(account);
        let plan = self.pick_plan(account);
        let mut items = vec![self.item(plan)];
        if self.draw.chance(0.2) {
            items.push(self.item(&shop::prices(provider)[shop::BESIDE]));
        }
        let id = match provider {
            Provider::Stripe => self.draw.id("sub_1", 23),
            Provider::Paddle => self.draw.id("sub_01", 24),
        };
        let now = self.second();
        self.person.subscriptions.push(Subscription {
            account,
            id,
            items,
            phase,
            started_at: now,
            period: (now, now + MONTH),
            trial_end: None,
            cancel_at: None,
            pause_at: None,
            is_collection_paused: false,
            asked_to_cancel_at: None,
            paused_at: None,
            ended_at: None,
            end_reason: None,
            is_imported: false,
            first_bill: None,
            latest_bill: None,
            open_bill: None,
            latest_invoice: None,
            pause_reason: None,
            has_pending_update: false,
            failing_since: None,
            has_begun: phase != Phase::Incomplete,
            told: phase,
            told_at: None,
            has_circled: false,
            epoch: 0,
        });
        self.person.subscriptions.len() - 1
    }

    pub(super) fn item(&mut self, price: &'static Price) -> Item {
        Item {
            id: self.draw.id("si_", 14),
            price,
            quantity: self.draw.between(1, 6),
        }
    }

    /// Bills the beginning of a subscription.
    fn first_bill(&mut self, subscription: usize, is_free: bool) -> usize {
        let reason = match self.provider_of(subscription) {
            Provider::Stripe => "subscription_create",
            Provider::Paddle => "web",
        };
        let period = self.subscription(subscription).period;
        let bill = self.bill_period(subscription, reason, period, is_free);
        self.person.subscriptions[subscription].first_bill = Some(bill);
        self.owe(subscription, bill);
        bill
    }

    /// Somebody buys: through a checkout, into a trial, or with a payment that comes later.
    pub(super) fn sign_up(&mut self, account: usize) {
        if self.person.accounts[account].is_removed {
            return;
        }
        match (self.provider(account), self.draw.index(10)) {
            (_, 0..3) => self.start_trial(account),
            (_, 9) => self.purchase(account),
            (Provider::Stripe, 3..5) => self.start_unpaid(account),
            (Provider::Stripe, _) => self.check_out(account),
            (Provider::Paddle, _) => self.buy(account),
        }
    }

    /// Stripe's Checkout. Before 2025-03-31 it made the subscription before it was paid.
    fn check_out(&mut self, account: usize) {
        let early = self.person.accounts[account].form == Form::Acacia;
        let phase = if early {
            Phase::Incomplete
        } else {
            Phase::Active
        };
        let subscription = self.add_subscription(account, phase);
        let bill = self.first_bill(subscription, false);
        self.turn(subscription, Turn::Created, |_, _| {});
        self.pay(bill);
        if early {
            self.turn(subscription, Turn::Activated, begin);
        }
        let id = self.draw.id("cs_live_", 40);
        let shown = &self.person.accounts[account];
        let session = stripe::session(shown, self.subscription(subscription), &id);
        self.say(account, Entry::new("checkout.session.completed", session));
        let before = self.person.accounts[account].street.clone();
        if before.is_none() && self.draw.chance(0.5) {
            self.move_house(account);
        }
        self.go_on(subscription);
    }

    /// Through the API, with the payment outstanding for up to 23 hours.
    fn start_unpaid(&mut self, account: usize) {
        let subscription = self.add_subscription(account, Phase::Incomplete);
        let bill = self.first_bill(subscription, false);
        self.turn(subscription, Turn::Created, |_, _| {});
        if self.draw.chance(0.5) {
            let kind = "invoice.payment_action_required";
            self.say_invoice(bill, kind, Standing::default());
        } else {
            self.fails(bill, 1, true);
        }
        let now = self.second();
        if self.draw.chance(0.7) {
            let at = now + self.draw.between(60, 20 * HOUR);
            self.plan_for(at, subscription, Step::FirstPayment);
        } else {
            self.plan_for(now + 23 * HOUR, subscription, Step::FirstPaymentNeverCame);
        }
    }

    pub(super) fn first_payment(&mut self, subscription: usize) {
        if let Some(bill) = self.subscription(subscription).open_bill {
            self.pay(bill);
        }
        self.turn(subscription, Turn::Activated, begin);
        self.go_on(subscription);
    }

    pub(super) fn first_payment_never_came(&mut self, subscription: usize) {
        self.forget_plans(subscription);
        self.turn(subscription, Turn::Updated, |it, at| {
            it.phase = Phase::IncompleteExpired;
            it.ended_at = Some(at);
        });
    }

    /// Paddle's checkout; some carts have something else in them.
    fn buy(&mut self, account: usize) {
        let subscription = self.add_subscription(account, Phase::Active);
        let bill = self.first_bill(subscription, false);
        if self.draw.chance(0.15) {
            let price = self.pick_once(Provider::Paddle);
            let line = self.once(Document::Transaction, price);
            let it = &mut self.person.bills[bill];
            it.money += line.amount;
            it.lines.push(line);
        }
        self.begin_at_paddle(subscription, bill);
        self.go_on(subscription);
    }

    fn begin_at_paddle(&mut self, subscription: usize, bill: usize) {
        self.start_transaction(bill);
        self.turn(subscription, Turn::Created, |_, _| {});
        let names_subscription = self.draw.chance(0.7);
        self.complete(bill, names_subscription);
    }

    fn start_trial(&mut self, account: usize) {
        let subscription = self.add_subscription(account, Phase::Trialing);
        let days = self.draw.pick(7, &[14, 30]);
        let now = self.second();
        let it = &mut self.person.subscriptions[subscription];
        it.period.1 = now + days * DAY;
        it.trial_end = Some(it.period.1);
        // A trial asks nothing, which is paid at once.
        let bill = self.first_bill(subscription, true);
        match self.provider(account) {
            Provider::Stripe => {
                self.turn(subscription, Turn::Created, |_, _| {});
                self.pay(bill);
            }
            Provider::Paddle => self.begin_at_paddle(subscription, bill),
        }
        let end = self.subscription(subscription).period.1;
        self.plan_for(end, subscription, Step::TrialEnd);
        self.maybe_whim(subscription, 0.4);
    }

    /// A subscription that ran elsewhere before.
    fn import(&mut self, account: usize) {
        let subscription = self.add_subscription(account, Phase::Active);
        self.person.subscriptions[subscription].is_imported = true;
        self.turn(subscription, Turn::Imported, |_, _| {});
        self.go_on(subscription);
    }

    /// Plans the steps in and after the first period.
    fn go_on(&mut self, subscription: usize) {
        let end = self.subscription(subscription).period.1;
        self.plan_for(end, subscription, Step::PeriodEnd);
        self.maybe_whim(subscription, 0.4);
        self.maybe_simulate(subscription);
    }

    pub(super) fn trial_end(&mut self, subscription: usize) {
        if self.subscription(subscription).cancel_at.is_some() {
            self.cancel(subscription, None);
            return;
        }
        let now = self.second();
        match self.draw.index(10) {
            // Without a payment method, each provider has its way.
            0 | 1 if self.provider_of(subscription) == Provider::Stripe => {
                self.pause(subscription, Some("trial_end_without_payment_method"));
            }
            0..3 => self.cancel(subscription, None),
            _ => self.end_trial_well(subscription, (now, now + MONTH)),
        }
    }

    fn end_trial_well(&mut self, subscription: usize, period: (i64, i64)) {
        let activate = move |it: &mut Subscription, _: Timestamp| {
            it.phase = Phase::Active;
            it.period = period;
        };
        self.plan_for(period.1, subscription, Step::PeriodEnd);
        if self.provider_of(subscription) == Provider::Paddle {
            self.turn(subscription, Turn::Activated, activate);
            self.renew_at_paddle(subscription);
            return;
        }
        let bill = self.bill_period(subscription, "subscription_cycle", period, false);
        self.owe(subscription, bill);
        self.turn(subscription, Turn::Activated, activate);
        self.draft(bill);
        let at = self.second() + HOUR;
        self.plan_for(at, subscription, |due| Step::Charge(due, bill));
    }
}

/// The first payment came.
fn begin(it: &mut Subscription, _: Timestamp) {
    it.phase = Phase::Active;
    it.has_begun = true;
}
