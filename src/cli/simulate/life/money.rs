//! Money that comes, fails to come, and goes back.

use super::{DAY, HOUR, Life, Step};
use crate::cli::simulate::person::{Dispute, DisputeStanding, Payment};
use crate::cli::simulate::wire::{Entry, paddle, stripe};
use crate::domain::id::Provider;

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

    /// A part goes back, or all of it; after a part perhaps the rest.
    pub(super) fn refund(&mut self, payment: usize) {
        let it = &mut self.person.payments[payment];
        let rest = it.amount - it.refunded;
        let is_part = it.refunded == 0 && rest > 100 && self.draw.chance(0.4);
        let part = if is_part { rest / 3 } else { rest };
        it.refunded += part;
        let (account, is_full) = (it.account, it.refunded >= it.amount);
        match self.provider(account) {
            Provider::Stripe => self.refund_at_stripe(payment, part),
            Provider::Paddle => self.refund_at_paddle(payment, part),
        }
        if !is_full && self.draw.chance(0.4) && self.provider(account) == Provider::Stripe {
            let at = self.second() + self.draw.between(HOUR, 10 * DAY);
            self.plan(at, Step::Refund(payment));
        }
    }

    fn refund_at_stripe(&mut self, payment: usize, part: i64) {
        let id = self.draw.id("re_3", 23);
        let it = self.person.payments[payment].clone();
        let account = &self.person.accounts[it.account];
        let mut refunded = Entry::called("charge.refunded", stripe::charge(account, &it));
        refunded.previous = Some(serde_json::json!({
            "amount_refunded": it.refunded - part,
            "refunded": false,
        }));
        let created = Entry::called("refund.created", stripe::refund(&it, &id, part));
        self.say(it.account, refunded);
        self.say(it.account, created);
        if it.refunded >= it.amount {
            self.person.refunds.push((it.account, it.id));
        }
    }

    /// Paddle looks at refunds first, and refuses some.
    fn refund_at_paddle(&mut self, payment: usize, part: i64) {
        let id = self.draw.id("adj_01", 24);
        let it = self.person.payments[payment].clone();
        let is_approved = self.draw.chance(0.8);
        let decided = if is_approved { "approved" } else { "rejected" };
        for (kind, status) in [
            ("adjustment.created", "pending_approval"),
            ("adjustment.updated", decided),
        ] {
            let object = self.adjustment(&it, &id, "refund", status, part);
            self.say(it.account, Entry::new(kind, object));
        }
        if is_approved && part == it.amount {
            self.person.refunds.push((it.account, id));
        }
    }

    fn adjustment(
        &self,
        payment: &Payment,
        id: &str,
        action: &str,
        status: &str,
        part: i64,
    ) -> serde_json::Value {
        let account = &self.person.accounts[payment.account];
        let subscription = &self.person.subscriptions[payment.subscription];
        let adjustment = paddle::Adjustment {
            id,
            action,
            status,
            part,
        };
        paddle::adjustment(account, subscription, payment, &adjustment, self.now)
    }

    pub(super) fn open_dispute(&mut self, payment: usize) {
        let it = self.person.payments[payment].clone();
        let is_inquiry = self.draw.chance(0.25);
        let standing = if is_inquiry {
            DisputeStanding::Inquiry
        } else {
            DisputeStanding::Open
        };
        let id = match self.provider(it.account) {
            Provider::Stripe => self.draw.id("du_1", 23),
            Provider::Paddle => it.id.clone(),
        };
        let index = self.person.disputes.len();
        self.person.disputes.push(Dispute {
            payment,
            id,
            standing,
            opened_at: self.second(),
        });
        match (self.provider(it.account), is_inquiry) {
            (Provider::Stripe, true) => {
                self.dispute(index, "charge.dispute.created", "warning_needs_response");
            }
            (Provider::Stripe, false) => {
                self.dispute(index, "charge.dispute.created", "needs_response");
                self.dispute(index, "charge.dispute.funds_withdrawn", "needs_response");
            }
            (Provider::Paddle, true) => self.paddle_dispute(index, "chargeback_warning"),
            (Provider::Paddle, false) => self.paddle_dispute(index, "chargeback"),
        }
        self.plan_move(index);
    }

    fn plan_move(&mut self, dispute: usize) {
        if self.draw.chance(0.8) {
            let at = self.second() + self.draw.between(DAY, 40 * DAY);
            self.plan(at, Step::MoveDispute(dispute));
        }
    }

    /// The next that is heard of a dispute.
    pub(super) fn move_dispute(&mut self, dispute: usize) {
        let it = &self.person.disputes[dispute];
        let provider = self.provider(self.person.payments[it.payment].account);
        let goes_well = self.draw.chance(0.5);
        let standing = match (provider, it.standing, goes_well) {
            (Provider::Stripe, DisputeStanding::Inquiry, true) => {
                self.dispute(dispute, "charge.dispute.closed", "warning_closed");
                DisputeStanding::Over
            }
            (Provider::Stripe, DisputeStanding::Inquiry, false) => {
                self.dispute(dispute, "charge.dispute.updated", "needs_response");
                self.dispute(dispute, "charge.dispute.funds_withdrawn", "needs_response");
                DisputeStanding::Open
            }
            (Provider::Stripe, _, true) => {
                self.dispute(dispute, "charge.dispute.updated", "under_review");
                self.dispute(dispute, "charge.dispute.closed", "won");
                self.dispute(dispute, "charge.dispute.funds_reinstated", "won");
                DisputeStanding::Over
            }
            (Provider::Stripe, _, false) => {
                self.dispute(dispute, "charge.dispute.closed", "lost");
                DisputeStanding::Lost
            }
            (Provider::Paddle, DisputeStanding::Inquiry, true) => {
                self.paddle_dispute(dispute, "chargeback_warning_reverse");
                DisputeStanding::Over
            }
            (Provider::Paddle, DisputeStanding::Inquiry, false) => {
                self.paddle_dispute(dispute, "chargeback");
                DisputeStanding::Open
            }
            // Paddle never says that a dispute is lost: it stays as it is.
            (Provider::Paddle, _, false) => return,
            (Provider::Paddle, _, true) => {
                self.paddle_dispute(dispute, "chargeback_reverse");
                DisputeStanding::Over
            }
        };
        self.person.disputes[dispute].standing = standing;
        if standing == DisputeStanding::Open {
            self.plan_move(dispute);
        }
    }

    fn dispute(&mut self, dispute: usize, event_type: &'static str, status: &'static str) {
        let it = &self.person.disputes[dispute];
        let payment = &self.person.payments[it.payment];
        let entry = Entry::new(event_type, stripe::dispute(it, payment, status));
        let account = payment.account;
        self.say(account, entry);
    }

    fn paddle_dispute(&mut self, dispute: usize, action: &'static str) {
        let id = self.draw.id("adj_01", 24);
        let payment = self.person.payments[self.person.disputes[dispute].payment].clone();
        let object = self.adjustment(&payment, &id, action, "approved", payment.amount);
        self.say(payment.account, Entry::new("adjustment.created", object));
    }
}
