//! Money that goes back: refunds and disputes.

use super::life::{Dispute, Life, Stage};

impl Life {
    pub(super) fn give_back(&mut self, a: u8, b: u8) {
        let paid = |bill: &usize| self.bills[*bill].paid.is_some_and(|paid| paid.money > 0);
        let paid: Vec<usize> = (0..self.bills.len()).filter(paid).collect();
        if paid.is_empty() {
            return;
        }
        let bill = paid[usize::from(a) % paid.len()];
        let it = &self.bills[bill];
        let given: i64 = it
            .refunds
            .iter()
            .filter(|it| it.stands)
            .map(|it| it.amount)
            .sum();
        let left = it.paid.map_or(0, |paid| paid.money) - given;
        match b % 4 {
            0 => self.fail_refund(bill),
            1 if left > 1 => self.refund(bill, left / 2),
            _ if left > 0 => self.refund(bill, left),
            _ => {}
        }
    }

    /// A dispute is opened, or goes on.
    pub(super) fn quarrel(&mut self, a: u8, b: u8) {
        if b.is_multiple_of(2) && !self.disputes.is_empty() {
            let dispute = usize::from(a) % self.disputes.len();
            let it = &mut self.disputes[dispute];
            it.stage = match it.stage {
                Stage::Open if !b.is_multiple_of(3) => Stage::Lost,
                Stage::Open | Stage::Lost => Stage::Won,
                Stage::Won => return,
            };
            return self.tell_dispute(dispute);
        }
        let free = |bill: &usize| {
            let is_new = self.disputes.iter().all(|it| it.bill != *bill);
            is_new && self.bills[*bill].paid.is_some_and(|paid| paid.money > 0)
        };
        let free: Vec<usize> = (0..self.bills.len()).filter(free).collect();
        if free.is_empty() {
            return;
        }
        let bill = free[usize::from(a) % free.len()];
        let it = &self.bills[bill];
        let id = match it.account {
            0 => format!("dp_{}", self.disputes.len()),
            _ => it.id.clone(),
        };
        let opened = self.now;
        self.disputes.push(Dispute {
            id,
            bill,
            opened,
            stage: Stage::Open,
        });
        self.tell_dispute(self.disputes.len() - 1);
    }
}
