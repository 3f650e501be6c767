//! What a subscription is worth, and what it leaves when it ends.

use std::collections::BTreeSet;

use super::life::{Bill, Dispute, Pause, Phase, Stage, Sub};
use super::truth::Eyes;

/// How long a purchase of U has updates, in seconds.
pub(super) const UPDATES: i64 = 40;

/// What something is worth, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    Good,
    Kept,
    Failing,
    Held,
    Paused,
    Ended,
}

pub(super) type Gift = (&'static str, Option<i64>);

/// A subscription, a purchase or a grant, and what it gives.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) worth: Option<Worth>,
    pub(super) gives: Vec<Gift>,
    pub(super) if_good: Vec<Gift>,
    /// Nobody ever had to pay for it.
    pub(super) is_free: bool,
    /// If no dispute had been lost it would be worth something.
    pub(super) can_be_held: bool,
    pub(super) good_at: Option<i64>,
    pub(super) sub: Option<usize>,
    pub(super) bill: Option<usize>,
}

/// True if a price buys something, or counts for another reason.
fn buys(price: &str) -> bool {
    matches!(price, "A" | "B" | "C" | "P" | "U")
}

/// True if a price buys a package.
pub(super) fn has_package(price: &str) -> bool {
    matches!(price, "A" | "B" | "P" | "U")
}

impl Eyes<'_> {
    pub(super) fn subscription(&self, index: usize) -> Source {
        let sub = &self.life.subs[index];
        let (worth, gives, is_free) = self.judge(index, false);
        let counts = buys(sub.price) || gives.iter().any(|gift| buys(gift.0));
        let though_lost = self.judge(index, true).0;
        let if_good = match worth {
            Some(Worth::Kept) => gives.iter().map(|gift| (gift.0, None)).collect(),
            _ => vec![(sub.price, None)],
        };
        Source {
            worth,
            gives,
            if_good,
            is_free,
            can_be_held: though_lost.is_some_and(|worth| worth != Worth::Ended),
            good_at: sub.good_at.filter(|_| counts),
            sub: Some(index),
            bill: None,
        }
    }

    /// The worth of a subscription by itself, what it gives, and whether it is free.
    fn judge(&self, index: usize, though_lost: bool) -> (Option<Worth>, Vec<Gift>, bool) {
        let sub = &self.life.subs[index];
        let (worth, gives, is_free) = match self.end(sub) {
            Some(end) => self.after_end(index, end, though_lost),
            None => self.running(index, though_lost),
        };
        let counts = buys(sub.price) || gives.iter().any(|gift| buys(gift.0));
        (worth.filter(|_| counts), gives, is_free)
    }

    fn running(&self, index: usize, though_lost: bool) -> (Option<Worth>, Vec<Gift>, bool) {
        let (sub, rules, now) = (&self.life.subs[index], self.rules, self.life.now);
        let all = vec![(sub.price, None)];
        let left_or = |worth, left: Vec<Gift>| {
            let keeps = left.iter().any(|gift| buys(gift.0));
            (Some(if keeps { Worth::Kept } else { worth }), left, false)
        };
        if sub.phase == Phase::Incomplete {
            return (None, Vec::new(), false);
        }
        if let Some(since) = sub.failing_since {
            let gave_up = sub.phase != Phase::PastDue;
            let passed = rules.suspend_after == 0 || since + rules.suspend_after <= now;
            if !gave_up && !passed || rules.on_payment_failed == "keep" {
                return (Some(Worth::Good), all, false);
            }
            return match rules.on_payment_failed {
                "freeze" => left_or(Worth::Failing, self.left(index, since, though_lost)),
                _ => (Some(Worth::Failing), Vec::new(), false),
            };
        }
        if let Phase::Paused(pause) = sub.phase {
            return match rules.on_pause {
                _ if pause == Pause::TrialEnded => (Some(Worth::Paused), Vec::new(), true),
                "keep" => (Some(Worth::Good), all, false),
                "freeze" => {
                    let since = sub.paused_since.unwrap_or(now);
                    left_or(Worth::Paused, self.left(index, since, though_lost))
                }
                _ => (Some(Worth::Paused), Vec::new(), false),
            };
        }
        if sub.collection_paused && rules.on_collection_pause == "suspend" {
            return (Some(Worth::Failing), Vec::new(), false);
        }
        let paid = self
            .bills(index)
            .filter_map(|bill| Some(bill.paid?.at))
            .max();
        let word = paid.unwrap_or(sub.heard).max(sub.heard).max(sub.period_end);
        let paid_until = self.paid_until(index, though_lost).into_iter();
        let word = paid_until.map(|(_, until)| until).fold(word, i64::max);
        if rules.on_silence == "suspend" && word + rules.silence_after <= now {
            return (Some(Worth::Failing), Vec::new(), false);
        }
        (Some(Worth::Good), all, false)
    }

    /// When a subscription ended, if it has.
    fn end(&self, sub: &Sub) -> Option<i64> {
        let now = self.life.now;
        let scheduled = sub.cancel_at.filter(|at| sub.ended.is_none() && *at <= now);
        let told = sub.ended.or(scheduled);
        let given_up = sub.failing_since.map(|since| since + self.rules.end_after);
        let given_up = given_up.filter(|at| *at <= sub.ended.unwrap_or(now));
        told.into_iter().chain(given_up).min()
    }

    fn after_end(
        &self,
        index: usize,
        end: i64,
        though_lost: bool,
    ) -> (Option<Worth>, Vec<Gift>, bool) {
        let (sub, now) = (&self.life.subs[index], self.life.now);
        let paid = self.paid_until(index, though_lost);
        let last = paid.iter().map(|it| it.1).max().filter(|last| *last > end);
        let gave_back = self.bills(index).any(|bill| {
            let reaches = bill.lines.iter().filter_map(|line| line.period);
            given_back(bill) > 0 && reaches.max_by_key(|it| it.1).is_some_and(|it| it.1 > end)
        });
        let early = self.rules.early_end == "paid_until" && sub.failing_since.is_none();
        let last = last.filter(|_| early && !gave_back);
        let left = self.left(index, last.unwrap_or(end), though_lost);
        if last.is_some_and(|last| now < last) {
            let runs = |price: &str| paid.iter().any(|it| it.0 == price && it.1 > now);
            let over = left.into_iter().filter(|gift| !runs(gift.0));
            let open = paid.iter().filter(|it| it.1 > now).map(|it| (it.0, None));
            return (Some(Worth::Good), over.chain(open).collect(), false);
        }
        let keeps = left.iter().any(|gift| buys(gift.0));
        let never = self.was_never_paid(index, though_lost);
        let money = self
            .bills(index)
            .any(|bill| bill.paid.is_some_and(|it| it.money > 0));
        let is_free = never && !keeps && !sub.has_owed && !money;
        let ran = sub.was_running || sub.was_tried || sub.is_odd || sub.paused_since.is_some();
        let paid = self
            .bills(index)
            .any(|bill| costs(bill) && self.stands(bill, though_lost));
        let began = !sub.expired_incomplete && (paid || ran || !sub.was_incomplete);
        let worth = if keeps { Worth::Kept } else { Worth::Ended };
        (began.then_some(worth), left, is_free)
    }

    /// What an end at `at` leaves.
    fn left(&self, index: usize, at: i64, though_lost: bool) -> Vec<Gift> {
        let (sub, rules) = (&self.life.subs[index], self.rules);
        if rules.on_end == "expire" {
            return Vec::new();
        }
        if self.was_never_paid(index, though_lost) {
            let is_lost = |bill: &Bill| {
                bill.paid.is_some_and(|it| it.money > 0) && !self.stands(bill, though_lost)
            };
            let kept = rules.on_end_unpaid == "freeze" && !self.bills(index).any(is_lost);
            return Vec::from_iter(kept.then_some((sub.price, Some(at))));
        }
        let shows = |bill: &Bill| bill.lines.iter().any(|line| line.period.is_some());
        if !self.counting(index, though_lost).any(shows) {
            let unpaid = self
                .bills(index)
                .filter(|bill| bill.paid.is_none() && renews(bill));
            let failed = unpaid.filter_map(|bill| bill.failed).min();
            let until = sub.failing_since.or(failed).map_or(at, |it| it.min(at));
            let ran = rules.freeze_after == 0 || sub.began + rules.freeze_after <= until;
            return Vec::from_iter(ran.then_some((sub.price, Some(until))));
        }
        if self.paid_time(index, at, though_lost) < rules.freeze_after {
            return Vec::new();
        }
        let paid = self.paid_until(index, though_lost).into_iter();
        paid.map(|(price, until)| (price, Some(until.min(at))))
            .collect()
    }

    fn bills(&self, sub: usize) -> impl Iterator<Item = &Bill> {
        // What was bought once pays for no subscription, although it was charged to one.
        let bills = self.life.bills.iter();
        let pays = |bill: &Bill| bill.lines.iter().any(|line| line.period.is_some());
        bills.filter(move |bill| bill.sub == Some(sub) && pays(bill))
    }

    /// Paid, and the money is still the seller's.
    fn stands(&self, bill: &Bill, though_lost: bool) -> bool {
        let lost = |it: &Dispute| it.stage == Stage::Lost && self.life.bills[it.bill].id == bill.id;
        let is_lost = self.life.disputes.iter().any(lost);
        bill.paid.is_some() && !is_given_back(bill) && (though_lost || !is_lost)
    }

    pub(super) fn counting(&self, sub: usize, though_lost: bool) -> impl Iterator<Item = &Bill> {
        let bills = self.bills(sub);
        bills.filter(move |it| costs(it) && !it.returned && self.stands(it, though_lost))
    }

    fn was_never_paid(&self, index: usize, though_lost: bool) -> bool {
        let sub = &self.life.subs[index];
        // A free period says nothing of those that were paid before.
        let had_cost = |bill: &Bill| bill.paid.is_some_and(|paid| paid.cost > 0);
        let was_paid = self.bills(index).any(had_cost);
        let began_here = !sub.imported && self.bills(index).next().is_some();
        let only_tried = (sub.was_tried || sub.was_incomplete) && !sub.was_running;
        let counts = self.counting(index, though_lost).next().is_some();
        !counts && (was_paid || began_here || only_tried)
    }

    fn prices(&self, sub: usize, though_lost: bool) -> BTreeSet<&'static str> {
        let standing = self
            .bills(sub)
            .filter(|it| !it.returned && self.stands(it, though_lost));
        standing
            .flat_map(|bill| bill.lines.iter().map(|line| line.price))
            .collect()
    }

    /// True if more lines charge for a price in this second than credit it.
    fn is_covered(&self, sub: usize, price: &str, second: i64, though_lost: bool) -> bool {
        let standing = self
            .bills(sub)
            .filter(|it| !it.returned && self.stands(it, though_lost));
        let lines = standing.flat_map(|bill| &bill.lines);
        let lines = lines.filter(|line| line.price == price);
        let covering = lines.filter(|line| {
            line.period
                .is_some_and(|(start, end)| start <= second && second < end)
        });
        covering.map(|line| line.amount.signum()).sum::<i64>() > 0
    }

    /// The moments at which coverage can change.
    fn moments(&self, sub: usize) -> BTreeSet<i64> {
        let lines = self.bills(sub).flat_map(|bill| &bill.lines);
        let periods = lines.filter_map(|line| line.period);
        periods.flat_map(|(start, end)| [start, end]).collect()
    }

    /// How much of the time from the beginning until `at` any price is paid for.
    fn paid_time(&self, index: usize, at: i64, though_lost: bool) -> i64 {
        let began = self.life.subs[index].began;
        let prices = self.prices(index, though_lost);
        let mut moments = self.moments(index);
        moments.retain(|it| began < *it && *it < at);
        moments.extend([began, at]);
        let moments: Vec<i64> = moments.into_iter().filter(|it| *it <= at).collect();
        let is_paid = |second: i64| {
            let mut prices = prices.iter();
            prices.any(|it| self.is_covered(index, it, second, though_lost))
        };
        let stretches = moments.windows(2);
        let paid = stretches.filter(|stretch| is_paid(stretch[0]));
        paid.map(|stretch| stretch[1] - stretch[0]).sum()
    }

    pub(super) fn paid_until(&self, sub: usize, though_lost: bool) -> Vec<(&'static str, i64)> {
        let moments = self.moments(sub);
        let until = |price: &'static str| {
            let mut ends = moments.iter().rev();
            let end = ends.find(|end| self.is_covered(sub, price, *end - 1, though_lost))?;
            Some((price, *end))
        };
        let prices = self.prices(sub, though_lost).into_iter();
        prices.filter_map(until).collect()
    }
}

fn renews(bill: &Bill) -> bool {
    matches!(bill.reason, "subscription_cycle" | "subscription_recurring")
}

fn costs(bill: &Bill) -> bool {
    bill.paid.is_some_and(|paid| paid.cost > 0) || bill.lines.iter().any(|line| line.amount > 0)
}

fn given_back(bill: &Bill) -> i64 {
    let standing = bill.refunds.iter().filter(|refund| refund.stands);
    standing.map(|refund| refund.amount).sum()
}

pub(super) fn is_given_back(bill: &Bill) -> bool {
    let money = bill.paid.map_or(0, |paid| paid.money);
    money > 0 && given_back(bill) >= money
}
