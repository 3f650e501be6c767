//! Money that comes, and money that fails to come.

use super::{DAY, HOUR, Life, Step};
use crate::simulate::person::Payment;
use crate::simulate::provider::Provider;
use crate::simulate::wire::{Entry, paddle, stripe};

impl Life {
    /// A period or a beginning was paid.
    pub(super) fn paid(&mut self, subscription: usize, reason: &'static str) {
        match self.provider_of(subscription) {
            Provider::Stripe => self.paid_at_stripe(subscription, reason),
            Provider::Paddle => {
                let transaction = self.billed_transaction(subscription);
                self.complete(subscription, &transaction, "subscription_recurring");
            }
        }
    }

    fn paid_at_stripe(&mut self, subscription: usize, reason: &'static str) {
        let payment = self.new_payment(subscription);
        let it = &self.person.subscriptions[subscription];
        let account = &self.person.accounts[it.account];
        let invoice = stripe::Invoice {
            id: &payment.invoice,
            reason,
            attempt: 1,
            next_attempt: None,
            paid_by: Some(&payment),
            at: payment.paid_at,
        };
        let entries = [
            Entry::new(
                "payment_intent.succeeded",
                stripe::intent(account, &payment),
            ),
            Entry::new("charge.succeeded", stripe::charge(account, &payment)),
            Entry::new("invoice.paid", stripe::invoice(account, it, &invoice)),
            Entry::new(
                "invoice.payment_succeeded",
                stripe::invoice(account, it, &invoice),
            ),
        ];
        for entry in entries {
            self.say(payment.account, entry);
        }
        self.remember(subscription, payment);
    }

    /// The invoice of a trial is paid at once, for it asks nothing.
    pub(super) fn paid_nothing(&mut self, subscription: usize) {
        let id = self.draw.id("in_1", 23);
        let at = self.second();
        let it = &self.person.subscriptions[subscription];
        let account = &self.person.accounts[it.account];
        let invoice = stripe::Invoice {
            id: &id,
            reason: "subscription_create",
            attempt: 0,
            next_attempt: None,
            paid_by: None,
            at,
        };
        let mut object = stripe::invoice(account, it, &invoice);
        for (field, value) in [("status", "paid".into()), ("amount_due", 0.into())] {
            object[field] = value;
        }
        let (account, entry) = (it.account, Entry::new("invoice.paid", object));
        self.say(account, entry);
    }

    /// A renewal's invoice, which Stripe leaves a draft for an hour.
    pub(super) fn draft_invoice(&mut self, subscription: usize) {
        let id = self.draw.id("in_1", 23);
        let it = &mut self.person.subscriptions[subscription];
        it.latest_invoice = Some(id.clone());
        it.open_bill = Some(id);
        self.invoice_fails(
            subscription,
            "invoice.created",
            "subscription_cycle",
            0,
            None,
        );
    }

    /// A try to collect failed.
    pub(super) fn fails(&mut self, subscription: usize, attempt: u32, is_last: bool) {
        if self.provider_of(subscription) == Provider::Paddle {
            let transaction = match attempt {
                1 => self.billed_transaction(subscription),
                _ => self.open_transaction(subscription),
            };
            self.transaction(
                subscription,
                &transaction,
                "transaction.payment_failed",
                "billed",
            );
            self.fail_since_now(subscription);
            if attempt == 1 {
                self.transaction(
                    subscription,
                    &transaction,
                    "transaction.past_due",
                    "past_due",
                );
            }
            self.person.subscriptions[subscription].open_bill = Some(transaction);
            return;
        }
        if self.draw.chance(0.15) {
            let kind = "invoice.payment_action_required";
            self.invoice_fails(subscription, kind, "subscription_cycle", attempt, None);
        }
        let next = (!is_last).then(|| self.second() + 3 * DAY);
        self.invoice_fails(
            subscription,
            "invoice.payment_failed",
            "subscription_cycle",
            attempt,
            next,
        );
        self.fail_since_now(subscription);
    }

    fn fail_since_now(&mut self, subscription: usize) {
        let at = match self.provider_of(subscription) {
            Provider::Stripe => super::seconds(self.second()),
            Provider::Paddle => self.now,
        };
        let it = &mut self.person.subscriptions[subscription];
        it.failing_since.get_or_insert(at);
    }

    /// An event of Stripe about the unpaid invoice.
    pub(super) fn invoice_fails(
        &mut self,
        subscription: usize,
        event_type: &'static str,
        reason: &'static str,
        attempt: u32,
        next_attempt: Option<i64>,
    ) {
        let fresh = self.draw.id("in_1", 23);
        let it = &self.person.subscriptions[subscription];
        let account = &self.person.accounts[it.account];
        let invoice = stripe::Invoice {
            id: it.open_bill.as_deref().unwrap_or(&fresh),
            reason,
            attempt,
            next_attempt,
            paid_by: None,
            at: self.now.seconds(),
        };
        let entry = Entry::new(event_type, stripe::invoice(account, it, &invoice));
        let account = it.account;
        self.say(account, entry);
    }

    /// The transaction of a checkout: it knows neither customer nor subscription at first.
    pub(super) fn first_transaction(&mut self, subscription: usize) -> String {
        let id = self.draw.id("txn_01", 24);
        for (kind, status, has_customer) in [
            ("transaction.created", "draft", false),
            ("transaction.ready", "ready", true),
            ("transaction.paid", "paid", true),
        ] {
            let it = &self.person.subscriptions[subscription];
            let account = &self.person.accounts[it.account];
            let mut object = paddle::transaction(account, it, &id, status, "web", self.now);
            object["subscription_id"] = serde_json::Value::Null;
            if !has_customer {
                object["customer_id"] = serde_json::Value::Null;
            }
            let account = it.account;
            self.say(account, Entry::new(kind, object));
        }
        id
    }

    /// The transaction of a renewal.
    fn billed_transaction(&mut self, subscription: usize) -> String {
        let id = self.draw.id("txn_01", 24);
        self.transaction(subscription, &id, "transaction.created", "billed");
        self.transaction(subscription, &id, "transaction.billed", "billed");
        id
    }

    /// The transaction that is still to be paid.
    fn open_transaction(&mut self, subscription: usize) -> String {
        let open = self.subscription(subscription).open_bill.clone();
        open.unwrap_or_else(|| self.draw.id("txn_01", 24))
    }

    fn transaction(
        &mut self,
        subscription: usize,
        id: &str,
        event_type: &'static str,
        status: &'static str,
    ) {
        let it = &self.person.subscriptions[subscription];
        let account = &self.person.accounts[it.account];
        let origin = "subscription_recurring";
        let object = paddle::transaction(account, it, id, status, origin, self.now);
        let account = it.account;
        self.say(account, Entry::new(event_type, object));
    }

    /// The money of a transaction is there.
    pub(super) fn complete(&mut self, subscription: usize, id: &str, origin: &'static str) {
        let mut payment = self.new_payment(subscription);
        id.clone_into(&mut payment.id);
        let it = &self.person.subscriptions[subscription];
        let account = &self.person.accounts[it.account];
        let object = paddle::transaction(account, it, id, "completed", origin, self.now);
        self.say(payment.account, Entry::new("transaction.completed", object));
        self.remember(subscription, payment);
    }

    fn new_payment(&mut self, subscription: usize) -> Payment {
        let open = self.subscription(subscription).open_bill.clone();
        let it = self.subscription(subscription);
        let amount = it
            .items
            .iter()
            .map(|item| item.price.amount * item.quantity);
        let (account, amount) = (it.account, amount.sum());
        Payment {
            account,
            subscription,
            id: self.draw.id("ch_3", 23),
            intent: self.draw.id("pi_3", 23),
            invoice: open.unwrap_or_else(|| self.draw.id("in_1", 23)),
            amount,
            refunded: 0,
            paid_at: self.second(),
        }
    }

    fn remember(&mut self, subscription: usize, payment: Payment) {
        let it = &mut self.person.subscriptions[subscription];
        it.has_begun = true;
        it.open_bill = None;
        it.latest_invoice = Some(payment.invoice.clone());
        let index = self.person.payments.len();
        self.person.payments.push(payment);
        let at = self.second() + self.draw.between(HOUR, 40 * DAY);
        match self.draw.index(40) {
            0..3 => self.plan(at, Step::Refund(index)),
            3..5 => self.plan(at, Step::OpenDispute(index)),
            _ => {}
        }
    }
}
