//! Bills: what is asked for, the money that comes, and money that fails to come.

use super::{DAY, HOUR, Life, Step};
use crate::domain::time::Timestamp;
use crate::simulate::person::{Bill, Document, Form, Line};
use crate::simulate::provider::Provider;
use crate::simulate::wire::stripe_money::Standing;
use crate::simulate::wire::{Entry, paddle, stripe_money};

impl Life {
    /// Makes a bill without posting it.
    pub(super) fn bill(
        &mut self,
        account: usize,
        subscription: Option<usize>,
        form: Document,
        reason: &'static str,
        lines: Vec<Line>,
    ) -> usize {
        let intent = self.draw.id("pi_3", 23);
        let session = self.draw.id("cs_live_", 40);
        let id = match form {
            Document::Invoice => self.draw.id("in_1", 23),
            Document::Transaction => self.draw.id("txn_01", 24),
            Document::Intent => intent.clone(),
            Document::Session => session.clone(),
        };
        let mut bill = Bill {
            account,
            subscription,
            form,
            id,
            charge: self.draw.id("ch_3", 23),
            intent,
            session,
            reason,
            lines,
            money: 0,
            made_at: self.second(),
            failed_at: None,
            paid_at: None,
            is_returned: false,
            refunded: 0,
        };
        let cost = bill.cost();
        bill.money = cost.max(0);
        if form == Document::Invoice {
            // A credit stays with the account and pays what comes next.
            let credit = &mut self.person.accounts[account].credit;
            let used = bill.money.min(*credit);
            *credit += (-cost).max(0) - used;
            bill.money -= used;
        }
        self.person.bills.push(bill);
        self.person.bills.len() - 1
    }

    /// Makes the bill of a subscription's period, free for a trial.
    pub(super) fn bill_period(
        &mut self,
        subscription: usize,
        reason: &'static str,
        period: (i64, i64),
        is_free: bool,
    ) -> usize {
        let it = self.subscription(subscription);
        let (account, items) = (it.account, it.items.clone());
        let form = match self.provider(account) {
            Provider::Stripe => Document::Invoice,
            Provider::Paddle => Document::Transaction,
        };
        let mut lines = Vec::new();
        for item in items {
            let amount = item.price.amount * item.quantity;
            lines.push(Line {
                id: self.line_id(form),
                price: item.price,
                quantity: item.quantity,
                amount: if is_free { 0 } else { amount },
                period: Some(period),
                is_proration: false,
                item: Some(item.id),
            });
        }
        self.bill(account, Some(subscription), form, reason, lines)
    }

    pub(super) fn line_id(&mut self, form: Document) -> String {
        match form {
            Document::Transaction => self.draw.id("txnitm_01", 24),
            Document::Invoice | Document::Intent | Document::Session => self.draw.id("il_1", 23),
        }
    }

    /// The subscription owes this bill from now on.
    pub(super) fn owe(&mut self, subscription: usize, bill: usize) {
        let id = self.person.bills[bill].id.clone();
        let is_invoice = self.person.bills[bill].form == Document::Invoice;
        let it = &mut self.person.subscriptions[subscription];
        it.open_bill = Some(bill);
        it.latest_bill = Some(bill);
        if is_invoice {
            it.latest_invoice = Some(id);
        }
    }

    /// The money of a bill comes, or it asks for none.
    pub(super) fn pay(&mut self, bill: usize) {
        let at = match self.person.bills[bill].form {
            Document::Invoice => self.pay_invoice(bill),
            Document::Transaction => self.complete(bill, true),
            Document::Intent | Document::Session => self.pay_session(bill),
        };
        self.is_paid(bill, at);
    }

    fn is_paid(&mut self, bill: usize, at: Timestamp) {
        let it = &mut self.person.bills[bill];
        let is_first = it.paid_at.is_none();
        it.paid_at.get_or_insert(at);
        it.is_returned = false;
        let (cost, money) = (it.cost(), it.money);
        if let Some(subscription) = it.subscription {
            let it = &mut self.person.subscriptions[subscription];
            it.has_begun |= cost > 0;
            it.open_bill = it.open_bill.filter(|open| *open != bill);
        }
        if is_first && money > 0 {
            self.plan_returns(bill);
        }
    }

    fn plan_returns(&mut self, bill: usize) {
        let at = self.second() + self.draw.between(HOUR, 40 * DAY);
        match self.draw.index(40) {
            0..3 => self.plan(at, Step::Refund(bill)),
            3..5 => self.plan(at, Step::OpenDispute(bill)),
            5 => self.plan(at, Step::Warn(bill)),
            6 => {
                let at = self.second() + self.draw.between(DAY, 10 * DAY);
                self.plan(at, Step::Return(bill));
            }
            _ => {}
        }
    }

    /// The events of the money itself.
    pub(super) fn collect(&mut self, bill: usize) {
        let it = &self.person.bills[bill];
        if it.money == 0 {
            return;
        }
        let (account, shown) = (it.account, &self.person.accounts[it.account]);
        let intent = Entry::new("payment_intent.succeeded", stripe_money::intent(shown, it));
        let charge = Entry::new("charge.succeeded", stripe_money::charge(shown, it));
        self.say(account, intent);
        self.say(account, charge);
    }

    fn pay_invoice(&mut self, bill: usize) -> Timestamp {
        self.collect(bill);
        let it = &self.person.bills[bill];
        let (account, money, made_at) = (it.account, it.money, self.second());
        let standing = Standing {
            attempt: 1,
            is_paid: true,
            ..Standing::default()
        };
        let at = self.say_invoice(bill, "invoice.paid", standing);
        self.say_invoice(bill, "invoice.payment_succeeded", standing);
        if money > 0 && self.person.accounts[account].form == Form::Clover {
            let it = &self.person.bills[bill];
            let object = stripe_money::invoice_payment(it, made_at);
            self.say(account, Entry::new("invoice_payment.paid", object));
        }
        at
    }

    pub(super) fn say_invoice(
        &mut self,
        bill: usize,
        event_type: &'static str,
        standing: Standing,
    ) -> Timestamp {
        let it = &self.person.bills[bill];
        let subscription = it.subscription.map(|it| &self.person.subscriptions[it]);
        let account = &self.person.accounts[it.account];
        let object = stripe_money::invoice(account, subscription, it, standing);
        let account = it.account;
        self.say(account, Entry::new(event_type, object))
    }

    /// A renewal's invoice, which Stripe leaves a draft for an hour.
    pub(super) fn draft(&mut self, bill: usize) {
        self.say_invoice(bill, "invoice.created", Standing::default());
    }

    /// A try to collect failed.
    pub(super) fn fails(&mut self, bill: usize, attempt: u32, is_last: bool) {
        let at = if self.person.bills[bill].form == Document::Transaction {
            let at = self.say_transaction(bill, "transaction.payment_failed", "billed", true);
            let it = &self.person.bills[bill];
            if attempt == 1 && it.reason == "subscription_recurring" {
                self.say_transaction(bill, "transaction.past_due", "past_due", true);
            }
            at
        } else {
            let next = (!is_last).then(|| self.second() + 3 * DAY);
            let standing = |next_attempt| Standing {
                attempt,
                next_attempt,
                is_paid: false,
            };
            if self.draw.chance(0.15) {
                self.say_invoice(bill, "invoice.payment_action_required", standing(None));
            }
            if attempt == 1 && self.draw.chance(0.3) {
                self.say_invoice(bill, "invoice.finalized", standing(None));
            }
            self.say_invoice(bill, "invoice.payment_failed", standing(next))
        };
        self.person.bills[bill].failed_at.get_or_insert(at);
    }

    /// The transaction of a checkout: it knows neither customer nor subscription at first.
    pub(super) fn start_transaction(&mut self, bill: usize) {
        for (kind, status, names_customer) in [
            ("transaction.created", "draft", false),
            ("transaction.ready", "ready", true),
        ] {
            let standing = paddle::Standing {
                status,
                names_customer,
                names_subscription: false,
                at: self.now,
            };
            self.say_standing(bill, kind, standing);
        }
        let at = self.say_transaction(bill, "transaction.paid", "paid", false);
        self.is_paid(bill, at);
    }

    /// The transaction of a renewal, or of something that is asked for.
    pub(super) fn start_billed(&mut self, bill: usize) {
        self.say_transaction(bill, "transaction.created", "billed", true);
        self.say_transaction(bill, "transaction.billed", "billed", true);
    }

    /// The money of a transaction is there.
    pub(super) fn complete(&mut self, bill: usize, names_subscription: bool) -> Timestamp {
        let kind = "transaction.completed";
        self.say_transaction(bill, kind, "completed", names_subscription)
    }

    pub(super) fn say_transaction(
        &mut self,
        bill: usize,
        event_type: &'static str,
        status: &'static str,
        names_subscription: bool,
    ) -> Timestamp {
        let standing = paddle::Standing {
            status,
            names_customer: true,
            names_subscription,
            at: self.now,
        };
        self.say_standing(bill, event_type, standing)
    }

    fn say_standing(
        &mut self,
        bill: usize,
        event_type: &'static str,
        standing: paddle::Standing,
    ) -> Timestamp {
        let it = &self.person.bills[bill];
        let subscription = it.subscription.map(|it| &self.person.subscriptions[it]);
        let account = &self.person.accounts[it.account];
        let object = paddle::transaction(account, subscription, it, standing);
        let account = it.account;
        self.say(account, Entry::new(event_type, object))
    }
}
