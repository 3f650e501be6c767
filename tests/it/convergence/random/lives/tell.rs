//! The events that tell of a life: what happens, and how it is told.

use std::collections::BTreeMap;

use tollgate::domain::billing::fact::{
    Contact, ContactFact, ContactSource, DisputeStage, Fact, Item, Line as ToldLine, Occurrence,
    PaymentFact, PaymentStep, RefundFact, RefundStage, SubscriptionFact, SubscriptionState,
    SubscriptionStatus,
};
use tollgate::domain::id::ObjectKey;

use super::life::{Bill, Life, Line, Paid, Pause, Phase, Refund, Stage};
use crate::convergence::rig::{at, ids, paddle, stripe};

pub(super) fn key(account: usize, id: &str) -> ObjectKey {
    if account == 0 { stripe(id) } else { paddle(id) }
}

pub(super) fn account_key(account: usize) -> ObjectKey {
    key(account, ["cus_1", "ctm_1"][account])
}

impl Life {
    pub(super) fn tell(&mut self, fact: Fact) {
        self.tellings += 1;
        self.told.push(Occurrence {
            at: at(self.now),
            facts: vec![fact],
        });
    }

    pub(super) fn sign_up(&mut self, account: usize) {
        let contact = Contact {
            email: Some(format!("{account}@example.com")),
            ..Contact::default()
        };
        self.tell(Fact::Contact(ContactFact {
            account: account_key(account),
            contact,
            before: None,
            source: ContactSource::Created,
            request: None,
        }));
    }

    /// Tells of a subscription as it is now.
    pub(super) fn tell_sub(&mut self, index: usize, created: bool) {
        let now = self.now;
        let sub = &mut self.subs[index];
        sub.crowd = match sub.crowd {
            (before, last) if sub.heard == now && sub.told.is_some() => (before, last + 1),
            (_, last) => (last, 1),
        };
        sub.heard = now;
        match sub.phase {
            Phase::Trialing => sub.was_tried = true,
            Phase::Incomplete => sub.was_incomplete = true,
            Phase::Active => sub.was_running = true,
            Phase::PastDue | Phase::Unpaid => {
                sub.was_running = true;
                sub.has_owed = true;
            }
            Phase::Paused(_) => {}
        }
        if matches!(sub.phase, Phase::Trialing | Phase::Active) && sub.ended.is_none() {
            sub.good_at = Some(now);
        }
        let word = match sub.phase {
            _ if sub.expired_incomplete => "incomplete_expired",
            _ if sub.ended.is_some() => "canceled",
            Phase::Trialing => "trialing",
            Phase::Active => "active",
            Phase::PastDue => "past_due",
            Phase::Unpaid => "unpaid",
            Phase::Paused(_) => "paused",
            Phase::Incomplete => "incomplete",
        };
        let latest = sub.latest.filter(|_| sub.account == 0);
        let latest = latest.map(|bill| self.bills[bill].id.clone());
        let state = self.state(index, word, latest);
        self.tell_state(index, state, created);
    }

    /// Tells of a status that nobody knows.
    pub(super) fn tell_odd(&mut self, index: usize) {
        self.subs[index].is_odd = true;
        let state = self.state(index, "hologram", None);
        let before = self.subs[index].told.clone();
        self.tell_state(index, state, false);
        self.subs[index].told = before;
    }

    fn state(&self, index: usize, word: &str, latest: Option<String>) -> SubscriptionState {
        let sub = &self.subs[index];
        let reason = match sub.phase {
            Phase::Paused(Pause::NobodyPaid) => Some("final_payment_failure"),
            Phase::Paused(Pause::TrialEnded) => Some("trial_end_without_payment_method"),
            _ => None,
        };
        SubscriptionState {
            status: SubscriptionStatus::parse(word),
            items: vec![Item {
                price: sub.price.to_owned(),
                product: None,
                lookup_key: None,
                quantity: Some(1),
            }],
            period_end: Some(at(sub.period_end)),
            cancel_at: sub.cancel_at.map(at),
            collection_paused: sub.collection_paused,
            items_incomplete: false,
            account: Some(account_key(sub.account)),
            latest_invoice: latest,
            pause_reason: reason.map(str::to_owned),
            test_clock: None,
        }
    }

    fn tell_state(&mut self, index: usize, state: SubscriptionState, created: bool) {
        let request = format!("req_{}", self.tellings);
        let sub = &mut self.subs[index];
        let account = sub.account;
        let before = sub.told.replace(state.clone()).filter(|_| account == 0);
        let fact = Fact::Subscription(SubscriptionFact {
            subscription: key(account, &sub.id),
            state,
            before,
            created: created && !sub.imported,
            imported: false,
            request: Some(request).filter(|_| account == 0),
            ended_at: sub.ended.map(at),
        });
        self.newest[account] = self.newest[account].max(Some(self.now));
        self.tell(fact);
    }

    fn tell_bill(&mut self, index: usize, step: PaymentStep) {
        let bill = &self.bills[index];
        let account = bill.account;
        let line = |line: &Line| ToldLine {
            price: line.price.to_owned(),
            product: None,
            lookup_key: None,
            amount: line.amount,
            quantity: None,
            start: line.period.map(|it| at(it.0)),
            end: line.period.map(|it| at(it.1)),
            once: line.period.is_none(),
            id: None,
        };
        let fact = Fact::Payment(PaymentFact {
            document: key(account, &bill.id),
            account: Some(account_key(account)),
            subscription: bill.sub.map(|sub| key(account, &self.subs[sub].id)),
            reason: Some(bill.reason.to_owned()),
            step,
            lines: bill.lines.iter().map(line).collect(),
            lines_incomplete: false,
            has_unpriced_items: false,
        });
        self.newest[account] = self.newest[account].max(Some(self.now));
        self.tell(fact);
    }

    /// Writes a bill that nobody has paid yet.
    pub(super) fn bill(
        &mut self,
        account: usize,
        sub: Option<usize>,
        reason: &'static str,
        lines: Vec<Line>,
    ) -> usize {
        let prefix = ["in", "txn"][account];
        self.bills.push(Bill {
            id: format!("{prefix}_{}", self.bills.len()),
            account,
            sub,
            reason,
            lines,
            paid: None,
            failed: None,
            returned: false,
            refunds: Vec::new(),
        });
        self.bills.len() - 1
    }

    pub(super) fn finalize(&mut self, bill: usize) {
        self.tell_bill(bill, PaymentStep::Known);
    }

    pub(super) fn fail(&mut self, bill: usize) {
        self.bills[bill].failed.get_or_insert(self.now);
        self.tell_bill(bill, PaymentStep::Failed { next_attempt: None });
    }

    /// Pays what the lines sum up to. What is owed then is owed no longer.
    pub(super) fn pay(&mut self, bill: usize) {
        let now = self.now;
        let it = &mut self.bills[bill];
        let cost: i64 = it.lines.iter().map(|line| line.amount).sum();
        let money = cost.max(0);
        it.paid.get_or_insert(Paid {
            at: now,
            money,
            cost,
        });
        let (account, id) = (it.account, it.id.clone());
        if account == 0 {
            let charge = stripe(&id.replace("in", "ch"));
            let ids = ids(&[charge, stripe(&id)]);
            self.tell(Fact::PaymentLink { ids });
        }
        self.tell_bill(bill, PaymentStep::Paid { money, cost });
    }

    /// What disputes and refunds of a bill name.
    fn names(&self, bill: usize) -> ObjectKey {
        let bill = &self.bills[bill];
        key(bill.account, &bill.id.replace("in", "ch"))
    }

    /// Gives money of a bill back: a refund of its own, or one more in the charge's count.
    pub(super) fn refund(&mut self, bill: usize, amount: i64) {
        let names = self.names(bill);
        let by_charge = self.bills[bill].account == 0 && bill.is_multiple_of(2);
        let (number, at) = (self.tellings, self.now);
        let it = &mut self.bills[bill];
        if by_charge {
            let before = it.refunds.pop().map_or(0, |refund| refund.amount);
            let amount = before + amount;
            let id = names.id.clone();
            it.refunds.push(Refund {
                id,
                amount,
                at,
                stands: true,
            });
            let ids = ids(std::slice::from_ref(&names));
            self.tell(Fact::ChargeRefunded {
                charge: names,
                amount,
                ids,
            });
            return;
        }
        let id = format!("{}_{number}", ["re", "adj"][it.account]);
        it.refunds.push(Refund {
            id,
            amount,
            at,
            stands: true,
        });
        let last = self.bills[bill].refunds.len() - 1;
        self.tell_refund(bill, last, RefundStage::Succeeded);
    }

    /// The bank sends a refund back. Charges' counts do not.
    pub(super) fn fail_refund(&mut self, bill: usize) {
        let own = |refund: &Refund| refund.stands && !refund.id.starts_with("ch");
        let Some(index) = self.bills[bill].refunds.iter().position(own) else {
            return;
        };
        self.bills[bill].refunds[index].stands = false;
        self.tell_refund(bill, index, RefundStage::Failed);
    }

    fn tell_refund(&mut self, bill: usize, index: usize, stage: RefundStage) {
        let names = self.names(bill);
        let it = &self.bills[bill];
        let refund = &it.refunds[index];
        let fact = Fact::Refunded(RefundFact {
            refund: key(it.account, &refund.id),
            stage,
            amount: refund.amount,
            lines: BTreeMap::new(),
            ids: ids(&[names]),
        });
        self.tell(fact);
    }

    pub(super) fn tell_dispute(&mut self, dispute: usize) {
        let it = &self.disputes[dispute];
        let account = self.bills[it.bill].account;
        let stage = match it.stage {
            Stage::Open => DisputeStage::Open,
            Stage::Lost => DisputeStage::Lost,
            Stage::Won => DisputeStage::Won,
        };
        let fact = Fact::Disputed {
            dispute: key(account, &it.id),
            stage,
            ids: ids(&[self.names(it.bill)]),
        };
        self.tell(fact);
    }
}
