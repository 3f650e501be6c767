//! What can happen next in a life.

use super::life::{Life, Line, PERIOD, Pause, Phase, Sub};

/// One thing that happens, as numbers that are read by what is possible.
pub(super) type Step = [u8; 4];

const PRICES: [&str; 6] = ["A", "A", "B", "C", "F", "X"];

fn amount(price: &str) -> i64 {
    match price {
        "B" => 200,
        "F" => 0,
        _ => 100,
    }
}

fn period_line(price: &'static str, start: i64) -> Line {
    Line {
        price,
        amount: amount(price),
        period: Some((start, start + PERIOD)),
    }
}

fn once_line(price: &'static str) -> Line {
    Line {
        price,
        amount: amount(price),
        period: None,
    }
}

impl Life {
    /// Lets a step of billing happen, later than everything before it. What is not possible now
    /// does not happen.
    pub(super) fn go_on(&mut self, [op, a, b, gap]: Step) {
        let index = usize::from(a) % self.subs.len().max(1);
        // Of two changes in one second only Stripe's events tell which was the last.
        let toggles = matches!(op % 20, 6..=8) && b.is_multiple_of(3);
        let may_crowd = self
            .subs
            .get(index)
            .is_some_and(|sub| sub.may_crowd(self.now));
        if !(toggles && may_crowd) {
            self.now += [1, 1, 2, 3, 7, 15, 31][usize::from(gap) % 7];
        }
        if op % 20 < 2 && self.subs.len() < 4 {
            return self.subscribe(usize::from(a % 2), b);
        }
        match op % 20 {
            14 | 15 => return self.purchase(usize::from(a % 2), b),
            16 => return self.give_back(a, b),
            17 | 18 => return self.quarrel(a, b),
            _ => {}
        }
        if self.subs.is_empty() {
            return;
        }
        if self.subs[index].ended.is_some() {
            if self.subs[index].phase == Phase::PastDue && op % 20 == 5 {
                self.settle(index, false);
            }
            return;
        }
        match op % 20 {
            0..=3 => self.renew(index, b),
            4 => self.renewal_fails(index, b),
            5 => self.settle(index, !b.is_multiple_of(3)),
            6 => self.pause(index, b),
            7 => self.toggle_collection(index),
            8 => self.schedule(index, b),
            9 => self.end(index, b),
            10 => self.give_up(index, b),
            11 => self.change_plan(index, b),
            12 => self.bill_by_hand(index, b),
            13 => self.tell_odd(index),
            _ => self.debit_returns(index),
        }
    }

    fn subscribe(&mut self, account: usize, b: u8) {
        let price = PRICES[usize::from(b) % 6];
        let how = (b / 6) % 5;
        let now = self.now;
        let phase = match how {
            1 => Phase::Trialing,
            2 if account == 0 => Phase::Incomplete,
            _ => Phase::Active,
        };
        self.subs.push(Sub {
            id: format!("sub_{}", self.subs.len()),
            account,
            price,
            phase,
            imported: how == 3,
            began: now,
            heard: now,
            period_end: now + PERIOD,
            cancel_at: None,
            collection_paused: false,
            latest: None,
            failing_since: None,
            paused_since: None,
            good_at: None,
            ended: None,
            expired_incomplete: false,
            was_tried: false,
            was_incomplete: false,
            was_running: false,
            has_owed: false,
            is_odd: false,
            told: None,
            crowd: (0, 1),
        });
        let index = self.subs.len() - 1;
        if how != 3 {
            let mut line = period_line(price, now);
            if how == 1 {
                line.amount = 0;
            }
            let reason = ["subscription_create", "web"][account];
            let bill = self.bill(account, Some(index), reason, vec![line]);
            self.subs[index].latest = Some(bill);
            match (phase, how) {
                (Phase::Incomplete, _) => self.fail(bill),
                (_, 4) => self.finalize(bill),
                _ => self.pay(bill),
            }
        }
        self.tell_sub(index, true);
    }

    fn cycle(&mut self, index: usize, extra: bool) -> usize {
        let sub = &self.subs[index];
        let account = sub.account;
        let mut lines = vec![period_line(sub.price, self.now)];
        lines.extend(extra.then(|| once_line("P")));
        let reason = ["subscription_cycle", "subscription_recurring"][account];
        let bill = self.bill(account, Some(index), reason, lines);
        let now = self.now;
        let sub = &mut self.subs[index];
        sub.latest = Some(bill);
        sub.period_end = now + PERIOD;
        bill
    }

    /// It is good from now on.
    fn is_good(&mut self, index: usize) {
        let sub = &mut self.subs[index];
        sub.phase = Phase::Active;
        sub.failing_since = None;
        sub.paused_since = None;
        for bill in self.bills.iter_mut().filter(|bill| bill.sub == Some(index)) {
            bill.returned = false;
        }
        self.tell_sub(index, false);
    }

    fn renew(&mut self, index: usize, b: u8) {
        match self.subs[index].phase {
            Phase::Active | Phase::Trialing => {
                let bill = self.cycle(index, b % 5 == 4);
                self.pay(bill);
                self.is_good(index);
            }
            Phase::Incomplete => {
                if let Some(bill) = self.subs[index].latest {
                    self.pay(bill);
                    self.is_good(index);
                }
            }
            Phase::PastDue | Phase::Unpaid | Phase::Paused(_) => {}
        }
    }

    fn renewal_fails(&mut self, index: usize, b: u8) {
        match self.subs[index].phase {
            Phase::Active => {
                let bill = self.cycle(index, b % 5 == 4);
                self.fail(bill);
                self.falls_due(index);
            }
            Phase::PastDue => {
                let latest = self.subs[index].latest;
                if let Some(bill) = latest.filter(|bill| self.bills[*bill].paid.is_none()) {
                    self.fail(bill);
                }
            }
            Phase::Trialing | Phase::Unpaid | Phase::Paused(_) | Phase::Incomplete => {}
        }
    }

    fn falls_due(&mut self, index: usize) {
        let now = self.now;
        let sub = &mut self.subs[index];
        sub.phase = Phase::PastDue;
        sub.failing_since.get_or_insert(now);
        self.tell_sub(index, false);
    }

    /// What is owed is paid. The word that the subscription is active may never come.
    fn settle(&mut self, index: usize, with_word: bool) {
        let sub = &self.subs[index];
        let (phase, ended) = (sub.phase, sub.ended.is_some());
        if !matches!(phase, Phase::PastDue | Phase::Unpaid) || sub.failing_since.is_none() {
            return;
        }
        let Some(bill) = sub.latest else { return };
        let is_new = self.bills[bill].paid.is_none();
        let costs = self.bills[bill]
            .lines
            .iter()
            .map(|it| it.amount)
            .sum::<i64>()
            > 0;
        if is_new {
            self.pay(bill);
        }
        if !ended && (with_word || !is_new || !costs || phase == Phase::Unpaid) {
            self.is_good(index);
        } else if is_new && costs && phase == Phase::PastDue {
            let now = self.now;
            let sub = &mut self.subs[index];
            sub.failing_since = None;
            sub.good_at = Some(now);
        }
    }

    fn pause(&mut self, index: usize, b: u8) {
        let now = self.now;
        let sub = &mut self.subs[index];
        match sub.phase {
            Phase::Active => {
                sub.phase = Phase::Paused(Pause::Wanted);
                sub.paused_since = Some(now);
                self.tell_sub(index, false);
            }
            Phase::Trialing if sub.account == 0 && b.is_multiple_of(2) => {
                sub.phase = Phase::Paused(Pause::TrialEnded);
                sub.paused_since = Some(now);
                self.tell_sub(index, false);
            }
            Phase::Paused(Pause::Wanted | Pause::TrialEnded) => self.is_good(index),
            _ => {}
        }
    }

    fn toggle_collection(&mut self, index: usize) {
        let sub = &mut self.subs[index];
        if sub.phase == Phase::Active && sub.account == 0 {
            sub.collection_paused = !sub.collection_paused;
            self.tell_sub(index, false);
        }
    }

    /// An end is scheduled, or no longer.
    fn schedule(&mut self, index: usize, b: u8) {
        let now = self.now;
        let sub = &mut self.subs[index];
        if !matches!(sub.phase, Phase::Active | Phase::Trialing) {
            return;
        }
        // What has come to its end cannot be called back.
        sub.cancel_at = match sub.cancel_at {
            Some(at) if at <= now => return,
            Some(_) => None,
            None => Some(now + 1 + i64::from(b % 40)),
        };
        self.tell_sub(index, false);
    }

    fn end(&mut self, index: usize, b: u8) {
        let now = self.now;
        let sub = &mut self.subs[index];
        if sub.phase == Phase::Incomplete {
            sub.expired_incomplete = b.is_multiple_of(2);
        }
        sub.cancel_at = None;
        sub.ended = Some(now);
        self.tell_sub(index, false);
    }

    fn give_up(&mut self, index: usize, b: u8) {
        let sub = &mut self.subs[index];
        if sub.phase != Phase::PastDue || sub.failing_since.is_none() {
            return;
        }
        match (b % 3, sub.account) {
            (0, 0) => sub.phase = Phase::Unpaid,
            (1, 0) => sub.phase = Phase::Paused(Pause::NobodyPaid),
            _ => return self.end(index, b),
        }
        self.tell_sub(index, false);
    }

    /// Another price: paid with a credit for the old one, or not paid, or without a bill.
    fn change_plan(&mut self, index: usize, b: u8) {
        let price = PRICES[usize::from(b) % 6];
        let sub = &self.subs[index];
        if sub.phase != Phase::Active || sub.price == price {
            return;
        }
        let (account, old, end, now) = (sub.account, sub.price, sub.period_end, self.now);
        if (b / 6) % 3 < 2 && now < end {
            let credit = Line {
                price: old,
                amount: -amount(old),
                period: Some((now, end)),
            };
            let new = Line {
                period: Some((now, end)),
                ..period_line(price, now)
            };
            let reason = "subscription_update";
            let bill = self.bill(account, Some(index), reason, vec![credit, new]);
            if (b / 6).is_multiple_of(3) {
                self.pay(bill);
            } else {
                self.fail(bill);
            }
        }
        self.subs[index].price = price;
        self.is_good(index);
    }

    /// Something that is billed beside the periods: it moves no subscription.
    fn bill_by_hand(&mut self, index: usize, b: u8) {
        let account = self.subs[index].account;
        let line = Line {
            amount: if account == 0 { 10 } else { 0 },
            ..once_line("F")
        };
        let reason = ["manual", "subscription_payment_method_change"][account];
        let bill = self.bill(account, Some(index), reason, vec![line]);
        if b.is_multiple_of(3) {
            self.pay(bill);
        } else {
            self.fail(bill);
        }
    }

    fn purchase(&mut self, account: usize, b: u8) {
        let price = ["P", "U", "F", "X"][usize::from(b) % 4];
        let reason = ["manual", "web"][account];
        let bill = self.bill(account, None, reason, vec![once_line(price)]);
        if b % 7 == 6 {
            self.fail(bill);
        } else {
            self.pay(bill);
        }
    }

    /// A bank takes a paid debit back.
    fn debit_returns(&mut self, index: usize) {
        let sub = &self.subs[index];
        let latest = sub.latest.filter(|bill| self.bills[*bill].paid.is_some());
        let of_stripe = sub.account == 0 && sub.phase == Phase::Active;
        if let Some(bill) = latest.filter(|_| of_stripe) {
            self.bills[bill].returned = true;
            self.falls_due(index);
        }
    }
}
