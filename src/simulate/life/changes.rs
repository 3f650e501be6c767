//! Changes of plan, with what is billed for the rest of the period, and upgrades that are declined.

use super::{DAY, Life, MONTH, Step};
use crate::simulate::person::{Document, Item, Line, Phase};
use crate::simulate::provider::Provider;
use crate::simulate::shop::{self, Price};
use crate::simulate::wire::Turn;
use crate::simulate::wire::stripe_money::Standing;

impl Life {
    /// Picks a plan; rarely one that buys nothing here.
    pub(super) fn pick_plan(&mut self, account: usize) -> &'static Price {
        let of = &self.person.accounts[account];
        let (provider, side) = (of.provider, of.side);
        let place = match self.draw.index(24) {
            0 => shop::LETTER,
            1 => shop::NEW,
            other => other % 3,
        };
        shop::at(side, &shop::prices(provider)[place])
    }

    /// Changes the plan without any bill for it.
    pub(super) fn change_plan(&mut self, subscription: usize) {
        let price = self.pick_plan(self.subscription(subscription).account);
        self.take_plan(subscription, price);
    }

    fn take_plan(&mut self, subscription: usize, price: &'static Price) {
        self.turn(subscription, Turn::Asked, |it, _| {
            it.items[0].price = price;
        });
    }

    /// Changes the plan and bills the rest of the period at once.
    pub(super) fn move_plan(&mut self, subscription: usize) {
        let provider = self.provider_of(subscription);
        let price = self.pick_plan(self.subscription(subscription).account);
        let it = self.subscription(subscription);
        let item = it.items[0].clone();
        let is_plain = it.phase == Phase::Active && it.open_bill.is_none();
        if !is_plain || it.is_collection_paused || price == item.price || item.quantity == 0 {
            return self.take_plan(subscription, price);
        }
        match provider {
            Provider::Stripe => self.move_at_stripe(subscription, price, &item),
            Provider::Paddle => self.move_at_paddle(subscription, price, &item),
        }
    }

    /// The line of a price for the rest of the period.
    fn rest(
        &mut self,
        subscription: usize,
        form: Document,
        item: &Item,
        price: &'static Price,
        sign: i64,
    ) -> Line {
        let (now, end) = (self.second(), self.subscription(subscription).period.1);
        let rest = (end - now).clamp(0, MONTH);
        Line {
            id: self.line_id(form),
            price,
            quantity: item.quantity,
            amount: sign * (price.amount * item.quantity * rest / MONTH).max(1),
            period: Some((now, end.max(now))),
            is_proration: true,
            item: Some(item.id.clone()),
        }
    }

    fn move_at_stripe(&mut self, subscription: usize, price: &'static Price, item: &Item) {
        let form = Document::Invoice;
        let credit = self.rest(subscription, form, item, item.price, -1);
        let debit = self.rest(subscription, form, item, price, 1);
        let account = self.subscription(subscription).account;
        let lines = vec![credit, debit];
        let bill = self.bill(
            account,
            Some(subscription),
            form,
            "subscription_update",
            lines,
        );
        let asks = self.person.bills[bill].money > 0;
        let luck = self.draw.index(10);
        if asks && luck == 0 && self.may_fail() {
            // The plan changes all the same, and the subscription is past due.
            self.owe(subscription, bill);
            self.fails(bill, 1, false);
            self.turn(subscription, Turn::Asked, |it, _| {
                it.items[0].price = price;
                it.phase = Phase::PastDue;
            });
            let at = self.second() + 3 * DAY;
            self.plan_for(at, subscription, |due| Step::Retry(due, 1));
        } else if asks && luck < 3 {
            self.decline_at_stripe(subscription, bill);
        } else {
            self.owe(subscription, bill);
            self.take_plan(subscription, price);
            self.pay(bill);
        }
    }

    /// The change waits for its payment, which never comes.
    fn decline_at_stripe(&mut self, subscription: usize, bill: usize) {
        let id = self.person.bills[bill].id.clone();
        self.turn(subscription, Turn::Asked, |it, _| {
            it.has_pending_update = true;
            it.latest_invoice = Some(id);
            it.latest_bill = Some(bill);
        });
        self.fails(bill, 1, true);
        self.say_invoice(bill, "invoice.voided", Standing::default());
        self.turn(subscription, Turn::Updated, |it, _| {
            it.has_pending_update = false;
        });
        if self.draw.chance(0.3) {
            // An old invoice is tried again.
            self.fails(bill, 2, true);
        }
    }

    fn move_at_paddle(&mut self, subscription: usize, price: &'static Price, item: &Item) {
        if price.amount <= item.price.amount {
            return self.take_plan(subscription, price);
        }
        let form = Document::Transaction;
        let line = self.rest(subscription, form, item, price, 1);
        let account = self.subscription(subscription).account;
        let reason = "subscription_update";
        let bill = self.bill(account, Some(subscription), form, reason, vec![line]);
        self.start_billed(bill);
        if self.draw.chance(0.2) {
            self.fails(bill, 1, true);
            self.say_transaction(bill, "transaction.canceled", "canceled", true);
        } else {
            self.take_plan(subscription, price);
            self.pay(bill);
        }
    }
}
