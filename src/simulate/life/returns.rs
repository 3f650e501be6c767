//! Money that goes back: refunds, and disputes that a bank opens.

use serde_json::{Value, json};

use super::{DAY, HOUR, Life, Step};
use crate::simulate::person::{Dispute, DisputeStage, Payment};
use crate::simulate::provider::Provider;
use crate::simulate::wire::{Entry, paddle, stripe};

impl Life {
    /// A part goes back, or all of it; after a part perhaps the rest.
    pub(super) fn refund(&mut self, payment: usize) {
        let it = &self.person.payments[payment];
        let (account, rest) = (it.account, it.amount - it.refunded);
        let is_part = it.refunded == 0 && rest > 100 && self.draw.chance(0.4);
        let part = if is_part { rest / 3 } else { rest };
        match self.provider(account) {
            Provider::Stripe => self.refund_at_stripe(payment, part),
            Provider::Paddle => self.refund_at_paddle(payment, part),
        }
        let it = &self.person.payments[payment];
        if it.refunded >= it.amount {
            let refund = (account, it.id.clone());
            self.person.refunds.push(refund);
        } else if self.draw.chance(0.5) {
            let at = self.second() + self.draw.between(HOUR, 10 * DAY);
            self.plan(at, Step::Refund(payment));
        }
    }

    fn refund_at_stripe(&mut self, payment: usize, part: i64) {
        let id = self.draw.id("re_3", 23);
        self.person.payments[payment].refunded += part;
        let it = self.person.payments[payment].clone();
        let account = &self.person.accounts[it.account];
        let mut refunded = Entry::called("charge.refunded", stripe::charge(account, &it));
        refunded.previous = Some(json!({
            "amount_refunded": it.refunded - part,
            "refunded": false,
        }));
        let created = Entry::called("refund.created", stripe::refund(&it, &id, part));
        self.say(it.account, refunded);
        self.say(it.account, created);
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
        if is_approved {
            self.person.payments[payment].refunded += part;
        }
    }

    fn adjustment(
        &self,
        payment: &Payment,
        id: &str,
        action: &str,
        status: &str,
        part: i64,
    ) -> Value {
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
            DisputeStage::Inquiry
        } else {
            DisputeStage::Open
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
            (Provider::Stripe, DisputeStage::Inquiry, true) => {
                self.dispute(dispute, "charge.dispute.closed", "warning_closed");
                DisputeStage::Over
            }
            (Provider::Stripe, DisputeStage::Inquiry, false) => {
                self.dispute(dispute, "charge.dispute.updated", "needs_response");
                self.dispute(dispute, "charge.dispute.funds_withdrawn", "needs_response");
                DisputeStage::Open
            }
            (Provider::Stripe, _, true) => {
                self.dispute(dispute, "charge.dispute.updated", "under_review");
                self.dispute(dispute, "charge.dispute.closed", "won");
                self.dispute(dispute, "charge.dispute.funds_reinstated", "won");
                DisputeStage::Over
            }
            (Provider::Stripe, _, false) => {
                self.dispute(dispute, "charge.dispute.closed", "lost");
                DisputeStage::Lost
            }
            (Provider::Paddle, DisputeStage::Inquiry, true) => {
                self.paddle_dispute(dispute, "chargeback_warning_reverse");
                DisputeStage::Over
            }
            (Provider::Paddle, DisputeStage::Inquiry, false) => {
                self.paddle_dispute(dispute, "chargeback");
                DisputeStage::Open
            }
            // Paddle never says that a dispute is lost: it stays as it is.
            (Provider::Paddle, _, false) => return,
            (Provider::Paddle, _, true) => {
                self.paddle_dispute(dispute, "chargeback_reverse");
                DisputeStage::Over
            }
        };
        self.person.disputes[dispute].standing = standing;
        if standing == DisputeStage::Open {
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
