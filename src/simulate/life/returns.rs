//! Money that goes back: refunds, and disputes that a bank opens.

use serde_json::{Value, json};

use super::{DAY, HOUR, Life, Step};
use crate::domain::time::Timestamp;
use crate::simulate::person::{Bill, Dispute, DisputeStage};
use crate::simulate::provider::Provider;
use crate::simulate::wire::{Entry, paddle, stripe_money};

impl Life {
    /// A part goes back, or all of it; after a part perhaps the rest.
    pub(super) fn refund(&mut self, bill: usize) {
        let it = &self.person.bills[bill];
        let (account, rest) = (it.account, it.money - it.refunded);
        if rest <= 0 || it.is_returned {
            return;
        }
        let is_part = it.refunded == 0 && rest > 100 && self.draw.chance(0.4);
        let part = if is_part { rest / 3 } else { rest };
        match self.provider(account) {
            Provider::Stripe => self.refund_at_stripe(bill, part),
            Provider::Paddle => self.refund_at_paddle(bill, part),
        }
        let it = &self.person.bills[bill];
        if it.refunded < it.money && self.draw.chance(0.5) {
            let at = self.second() + self.draw.between(HOUR, 10 * DAY);
            self.plan(at, Step::Refund(bill));
        }
    }

    /// Told by the charge's count, by the refund, or by both. Some banks send it back.
    fn refund_at_stripe(&mut self, bill: usize, part: i64) {
        let id = self.draw.id("re_3", 23);
        self.person.bills[bill].refunded += part;
        let it = self.person.bills[bill].clone();
        let account = &self.person.accounts[it.account];
        let mut refunded = Entry::called("charge.refunded", stripe_money::charge(account, &it));
        refunded.previous = Some(json!({
            "amount_refunded": it.refunded - part,
            "refunded": false,
        }));
        let refund = |status| stripe_money::refund(&it, &id, part, status);
        let created = Entry::called("refund.created", refund("succeeded"));
        self.say(it.account, refunded);
        self.say(it.account, created);
        if self.draw.chance(0.1) {
            self.now = self.now.plus(std::time::Duration::from_hours(1));
            self.say(it.account, Entry::new("refund.failed", refund("failed")));
            self.person.bills[bill].refunded -= part;
        }
    }

    /// Paddle looks at refunds first, and refuses some.
    fn refund_at_paddle(&mut self, bill: usize, part: i64) {
        let id = self.draw.id("adj_01", 24);
        let it = self.person.bills[bill].clone();
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
            self.person.bills[bill].refunded += part;
        }
    }

    fn adjustment(&self, bill: &Bill, id: &str, action: &str, status: &str, part: i64) -> Value {
        let account = &self.person.accounts[bill.account];
        let subscription = bill.subscription.map(|it| &self.person.subscriptions[it]);
        let adjustment = paddle::Adjustment {
            id,
            action,
            status,
            part,
        };
        paddle::adjustment(account, subscription, bill, &adjustment, self.now)
    }

    pub(super) fn open_dispute(&mut self, bill: usize) {
        let it = self.person.bills[bill].clone();
        if it.is_returned {
            return;
        }
        let is_inquiry = self.draw.chance(0.25);
        let standing = if is_inquiry {
            DisputeStage::Inquiry
        } else {
            DisputeStage::Open
        };
        let provider = self.provider(it.account);
        let id = match provider {
            Provider::Stripe => self.draw.id("du_1", 23),
            Provider::Paddle => it.id.clone(),
        };
        let index = self.person.disputes.len();
        self.person.disputes.push(Dispute {
            bill,
            id,
            standing,
            opened_at: self.now,
        });
        let at = match (provider, is_inquiry) {
            (Provider::Stripe, true) => {
                self.dispute(index, "charge.dispute.created", "warning_needs_response")
            }
            (Provider::Stripe, false) => {
                self.dispute(index, "charge.dispute.created", "needs_response")
            }
            (Provider::Paddle, true) => self.paddle_dispute(index, "chargeback_warning"),
            (Provider::Paddle, false) => self.paddle_dispute(index, "chargeback"),
        };
        self.person.disputes[index].opened_at = at;
        if provider == Provider::Stripe && !is_inquiry {
            self.dispute(index, "charge.dispute.funds_withdrawn", "needs_response");
        }
        self.plan_move(index);
    }

    /// A payment service suspects fraud: nothing is taken back yet (Stripe).
    pub(super) fn warn(&mut self, bill: usize) {
        let it = &self.person.bills[bill];
        let account = it.account;
        if self.provider(account) == Provider::Paddle {
            return;
        }
        let id = self.draw.id("issfr_1", 23);
        let it = &self.person.bills[bill];
        let object = json!({
            "id": id, "object": "radar.early_fraud_warning", "actionable": true,
            "charge": it.charge, "created": self.second(), "fraud_type": "misc", "livemode": true,
            "payment_intent": it.intent,
        });
        self.say(
            account,
            Entry::new("radar.early_fraud_warning.created", object),
        );
        self.person.warnings.push((account, id));
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
        let provider = self.provider(self.person.bills[it.bill].account);
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

    fn dispute(
        &mut self,
        dispute: usize,
        event_type: &'static str,
        status: &'static str,
    ) -> Timestamp {
        let it = &self.person.disputes[dispute];
        let bill = &self.person.bills[it.bill];
        let entry = Entry::new(event_type, stripe_money::dispute(it, bill, status));
        let account = bill.account;
        self.say(account, entry)
    }

    fn paddle_dispute(&mut self, dispute: usize, action: &'static str) -> Timestamp {
        let id = self.draw.id("adj_01", 24);
        let bill = self.person.bills[self.person.disputes[dispute].bill].clone();
        let object = self.adjustment(&bill, &id, action, "approved", bill.money);
        self.say(bill.account, Entry::new("adjustment.created", object))
    }
}
