//! What each thing that somebody bought is worth now.

use crate::domain::time::Timestamp;
use crate::simulate::life::{DAY, END_AFTER, SILENCE_AFTER, SUSPEND_AFTER, seconds};
use crate::simulate::person::{
    Account, Bill, Dispute, DisputeStage, Document, Line, Person, Phase, Subscription,
};
use crate::simulate::shop::{Plan, Price};

/// The worth of something bought, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    Good,
    /// Over, but what was paid for stays.
    Kept,
    Failing,
    /// A lost dispute holds it.
    Held,
    Paused,
    /// Over, and nothing stays.
    Ended,
}

impl Worth {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Kept => "kept",
            Self::Failing => "failing",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }

    /// The status of a customer who has nothing better.
    pub(super) const fn status(self) -> &'static str {
        match self {
            Self::Good => "active",
            Self::Kept => "frozen",
            Self::Failing | Self::Held | Self::Paused => "suspended",
            Self::Ended => "expired",
        }
    }
}

/// A price, and the end of what is included; none: all.
pub(super) type Gift = (&'static Price, Option<Timestamp>);

/// Something that was bought and counts: a subscription, or a price that was bought once.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) id: &'a str,
    /// By itself, without any dispute.
    pub(super) own: Worth,
    pub(super) worth: Worth,
    pub(super) reason: &'static str,
    pub(super) gives: Vec<Gift>,
}

/// The state of a subscription, before any dispute.
struct Judged {
    worth: Worth,
    reason: &'static str,
    gives: Vec<Gift>,
}

/// Sees all of a person's life at one time.
#[derive(Clone, Copy)]
pub(super) struct Eyes<'a> {
    pub(super) person: &'a Person,
    pub(super) now: Timestamp,
}

impl<'a> Eyes<'a> {
    /// Returns what a subscription is worth; none if it does not count.
    pub(super) fn subscription(self, index: usize) -> Option<Source<'a>> {
        let judged = self.judge(index, false)?;
        let otherwise = self.judge(index, true);
        let is_over = otherwise.is_none_or(|it| it.worth == Worth::Ended);
        let is_held = self.lost().any(|dispute| {
            let bill = &self.person.bills[dispute.bill];
            bill.subscription == Some(index) && pays_period(bill) && !self.is_paid_since(dispute)
        });
        let holds = is_held && (judged.worth != Worth::Ended || !is_over);
        Some(Source {
            id: &self.person.subscriptions[index].id,
            own: judged.worth,
            worth: if holds { Worth::Held } else { judged.worth },
            reason: judged.reason,
            gives: judged.gives,
        })
    }

    /// Returns what was bought once by a bill, and counts.
    pub(super) fn purchases(self, bill: &'a Bill) -> impl Iterator<Item = Source<'a>> {
        let paid_at = bill.paid_at;
        let is_lost = self.is_lost(bill);
        let once = once(bill).into_iter().filter_map(move |price| {
            let Plan::Once(_, updates) = price.plan else {
                return None;
            };
            let updates_end = updates.and_then(|days| Some(later(paid_at?, days * DAY)));
            let over = updates_end.filter(|end| *end <= self.now);
            let (own, reason) = if is_given_back(bill) {
                (Worth::Ended, "full_refund")
            } else if over.is_some() {
                (Worth::Kept, "updates_ended")
            } else {
                (Worth::Good, "")
            };
            let holds = is_lost && own != Worth::Ended;
            Some(Source {
                id: &bill.id,
                own,
                worth: if holds { Worth::Held } else { own },
                reason,
                gives: vec![(price, over)],
            })
        });
        once.filter(move |_| paid_at.is_some())
    }

    fn judge(self, index: usize, though_lost: bool) -> Option<Judged> {
        let it = &self.person.subscriptions[index];
        let items = items(it);
        if let Some(end) = self.end(it) {
            let left = self.left(index, end, though_lost);
            let buys = left.iter().any(|(price, _)| price.buys());
            let counts = buys || items.iter().any(|price| price.buys());
            let began = it.has_begun || self.counting(index, though_lost).next().is_some();
            return (counts && began && it.phase != Phase::IncompleteExpired).then_some(Judged {
                worth: if buys { Worth::Kept } else { Worth::Ended },
                reason: "subscription_ended",
                gives: left,
            });
        }
        if it.phase == Phase::Incomplete || !items.iter().any(|price| price.buys()) {
            return None;
        }
        let (worth, reason) = match it.phase {
            Phase::PastDue if !self.has_passed(it.failing_since, SUSPEND_AFTER) => {
                (Worth::Good, "")
            }
            Phase::PastDue | Phase::Unpaid => (Worth::Failing, "payment_failed"),
            Phase::Paused if it.failing_since.is_some() => (Worth::Failing, "payment_failed"),
            Phase::Paused => (Worth::Paused, "subscription_paused"),
            _ => (Worth::Good, ""),
        };
        let gives = items.into_iter().map(|price| (price, None));
        Some(Judged {
            worth,
            reason,
            gives: gives.filter(|_| worth == Worth::Good).collect(),
        })
    }

    fn has_passed(self, since: Option<Timestamp>, after: i64) -> bool {
        since.is_some_and(|since| later(since, after) <= self.now)
    }

    /// Returns the end of a subscription, if it has come: as it was told, as it was scheduled, or by
    /// a failure that lasted too long.
    pub(super) fn end(self, it: &Subscription) -> Option<Timestamp> {
        let scheduled = it.cancel_at.map(seconds).filter(|at| *at <= self.now);
        let scheduled = scheduled.filter(|_| it.ended_at.is_none());
        let given_up = it.failing_since.map(|since| later(since, END_AFTER));
        let given_up = given_up.filter(|at| *at <= it.ended_at.unwrap_or(self.now));
        let ends = [it.ended_at, scheduled, given_up];
        ends.into_iter().flatten().min()
    }

    /// Returns what a subscription leaves that ended: each price until it was paid.
    fn left(self, index: usize, end: Timestamp, though_lost: bool) -> Vec<Gift> {
        let it = &self.person.subscriptions[index];
        let is_paid = self.counting(index, though_lost).next().is_some();
        let standing: Vec<&Bill> = self
            .bills(index)
            .filter(|bill| self.stands(bill, though_lost))
            .collect();
        let periods = || standing.iter().flat_map(|bill| &bill.lines);
        let shows_periods = periods().any(|line| line.period.is_some() && line.quantity > 0);
        if is_paid && shows_periods {
            let mut prices: Vec<&'static Price> = periods().map(|line| line.price).collect();
            prices.sort_by_key(|price| price.id);
            prices.dedup();
            let paid = prices.into_iter().filter_map(|price| {
                let of_price: Vec<_> = periods().filter(|line| line.price == price).collect();
                Some((price, Some(end.min(paid_until(&of_price)?))))
            });
            return paid.collect();
        }
        // A free month says nothing of those that were paid before.
        let was_paid = |bill: &Bill| bill.paid_at.is_some() && bill.cost() > 0;
        if !is_paid && (self.bills(index).any(was_paid) || !it.is_imported) {
            return Vec::new();
        }
        // Nobody saw what was paid for it: it is taken as paid until it first was not.
        let unpaid = self.bills(index).filter(|bill| {
            let renews = matches!(bill.reason, "subscription_cycle" | "subscription_recurring");
            renews && bill.paid_at.is_none()
        });
        let failed = unpaid.filter_map(|bill| bill.failed_at).min();
        let until = it.failing_since.or(failed).map_or(end, |at| at.min(end));
        let all = items(it).into_iter();
        all.map(|price| (price, Some(until))).collect()
    }

    /// Returns the bills of a subscription, without those for something bought once.
    fn bills(self, subscription: usize) -> impl Iterator<Item = &'a Bill> {
        let bills = self.person.bills.iter();
        bills.filter(move |bill| {
            let is_once = !bill.lines.is_empty() && !pays_period(bill);
            bill.subscription == Some(subscription) && !is_once
        })
    }

    /// Returns the bills of a subscription that were paid for anything, and stayed so.
    fn counting(self, subscription: usize, though_lost: bool) -> impl Iterator<Item = &'a Bill> {
        let bills = self.bills(subscription);
        bills.filter(move |bill| {
            let costs = bill.cost() > 0 || bill.lines.iter().any(|line| line.amount > 0);
            costs && self.stands(bill, though_lost)
        })
    }

    fn stands(self, bill: &Bill, though_lost: bool) -> bool {
        let is_kept = !bill.is_returned && !is_given_back(bill);
        bill.paid_at.is_some() && is_kept && (though_lost || !self.is_lost(bill))
    }

    fn lost(self) -> impl Iterator<Item = &'a Dispute> {
        let all = self.person.disputes.iter();
        all.filter(|it| it.standing == DisputeStage::Lost)
    }

    fn is_lost(self, bill: &Bill) -> bool {
        self.lost()
            .any(|it| self.person.bills[it.bill].id == bill.id)
    }

    /// True if the subscription that a dispute is about was paid after it began.
    pub(super) fn is_paid_since(self, dispute: &Dispute) -> bool {
        let bill = &self.person.bills[dispute.bill];
        let Some(subscription) = bill.subscription.filter(|_| pays_period(bill)) else {
            return false;
        };
        let mut counting = self.counting(subscription, false);
        counting.any(|bill| bill.paid_at > Some(dispute.opened_at))
    }

    /// Returns the prices of a subscription that nobody has a plan for.
    pub(super) fn unknown_prices(self, index: usize) -> Vec<&'static str> {
        let it = &self.person.subscriptions[index];
        let shown = match self.end(it) {
            Some(end) => {
                let left = self.left(index, end, false).into_iter();
                left.map(|(price, _)| price).collect()
            }
            None => items(it),
        };
        let unknown = shown.into_iter().filter(|it| it.plan == Plan::Unmapped);
        unknown.map(|price| price.id).collect()
    }

    /// True if a period ended a while ago without any word since.
    pub(super) fn is_silent(self, index: usize) -> bool {
        let it = &self.person.subscriptions[index];
        let runs = matches!(it.phase, Phase::Active | Phase::Trialing) && self.end(it).is_none();
        let paid = self.bills(index).filter_map(|bill| bill.paid_at).max();
        let word = paid.max(it.told_at).max(Some(seconds(it.period.1)));
        let counts = items(it).iter().any(|price| price.buys());
        runs && counts && self.has_passed(word, SILENCE_AFTER)
    }
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_nanos(at.nanos() + seconds * 1_000_000_000)
}

/// Returns the prices of a subscription. Of none of something nothing is bought.
fn items(it: &Subscription) -> Vec<&'static Price> {
    let bought = it.items.iter().filter(|item| item.quantity > 0);
    bought.map(|item| item.price).collect()
}

/// Returns the moment until which lines of one price pay for it: the last at which they charge for
/// more of it than they credit.
fn paid_until(lines: &[&Line]) -> Option<Timestamp> {
    let shown = lines.iter().filter(|line| line.quantity > 0);
    let periods: Vec<(i64, i64, i64)> = shown
        .filter_map(|line| {
            line.period
                .map(|(start, end)| (start, end, line.amount.signum() * line.quantity))
        })
        .collect();
    let mut moments: Vec<i64> = periods.iter().flat_map(|it| [it.0, it.1]).collect();
    moments.sort_unstable();
    moments.dedup();
    let is_paid = |from: i64, to: i64| {
        let covering = periods.iter().filter(|it| it.0 <= from && it.1 >= to);
        covering.map(|it| it.2).sum::<i64>() > 0
    };
    let mut stretches = moments.windows(2).rev();
    let last = stretches.find(|pair| is_paid(pair[0], pair[1]))?;
    Some(seconds(last[1]))
}

fn pays_period(bill: &Bill) -> bool {
    bill.lines.iter().any(|line| line.period.is_some())
}

/// True if all of the money was given back.
pub(super) fn is_given_back(bill: &Bill) -> bool {
    bill.paid_at.is_some() && bill.money > 0 && bill.refunded >= bill.money
}

/// Returns the prices that a bill is for once.
fn once(bill: &Bill) -> Vec<&'static Price> {
    let once = bill.lines.iter().filter(|line| line.period.is_none());
    let mut prices: Vec<&'static Price> = once.map(|line| line.price).collect();
    prices.sort_by_key(|price| price.id);
    prices.dedup();
    prices
}

/// Returns what to look at where a bill was paid for something that nobody has a plan for: the
/// session, where no price is known.
pub(super) fn unknown_purchases(bill: &Bill, account: &Account) -> Vec<String> {
    let mut lines = bill.lines.iter();
    let is_known = lines.any(|line| line.price.plan != Plan::Unmapped);
    if bill.paid_at.is_none() || is_known {
        return Vec::new();
    }
    let subject = |price: &Price| match bill.form {
        Document::Intent | Document::Session => account.place(&bill.session),
        Document::Invoice | Document::Transaction => account.place(price.id),
    };
    once(bill).into_iter().map(subject).collect()
}
