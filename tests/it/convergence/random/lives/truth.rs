//! What a customer has, worked out from a [`Life`] as the rules are written for people.

use std::collections::BTreeSet;

use super::life::{Hold, Life, Stage};
use super::rules::Rules;
use super::worth::{Gift, Source, UPDATES, Worth, has_package, is_given_back};

/// What is seen of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) status: &'static str,
    pub(super) frozen_at: Option<i64>,
    pub(super) prices: BTreeSet<Gift>,
}

/// A life seen under a policy.
pub(super) struct Eyes<'a> {
    pub(super) life: &'a Life,
    pub(super) rules: &'a Rules,
}

impl Eyes<'_> {
    pub(super) fn picture(&self, account: usize) -> Picture {
        let (sources, worth) = self.weigh(account);
        let courtesy = self.has_courtesy(account, &sources, worth);
        let by_billing = worth.filter(|worth| *worth != Worth::Good && !courtesy);
        let left = sources.iter().filter(|it| it.worth == Some(Worth::Kept));
        let left = left
            .flat_map(|it| it.gives.iter().filter_map(|gift| gift.1))
            .max();
        let status = match (self.life.holds[account], by_billing) {
            (Some(Hold::Frozen(_)), _) | (None, Some(Worth::Kept)) => "frozen",
            (Some(Hold::Expired), _) | (None, Some(Worth::Ended)) => "expired",
            (None, None | Some(Worth::Good)) => "active",
            (Some(Hold::Suspended), _)
            | (None, Some(Worth::Failing | Worth::Held | Worth::Paused)) => "suspended",
        };
        let frozen_at = match self.life.holds[account] {
            Some(Hold::Frozen(at)) => Some(at),
            _ => left.filter(|_| status == "frozen"),
        };
        let by_admin = matches!(self.life.holds[account], Some(Hold::Frozen(_)));
        let mut prices: BTreeSet<Gift> = BTreeSet::new();
        for it in sources
            .iter()
            .filter(|_| matches!(status, "active" | "frozen"))
        {
            let is_treated = (courtesy || by_admin) && it.worth == worth;
            match it.worth {
                Some(Worth::Good) => prices.extend(&it.gives),
                Some(_) if is_treated => prices.extend(&it.if_good),
                Some(Worth::Kept) => prices.extend(&it.gives),
                _ => {}
            }
        }
        prices.retain(|gift| has_package(gift.0));
        Picture {
            status,
            frozen_at,
            prices,
        }
    }

    /// An admin lifts what holds an account: disputes and refunds that act are waived, and against
    /// what is left there is courtesy.
    pub(super) fn pardon(&self, account: usize) -> Life {
        let mut life = self.life.clone();
        if self.picture(account).status == "active" {
            return life;
        }
        life.holds[account] = None;
        let mut sources = self.sources(account);
        life.waived.extend(self.act(account, &mut sources));
        let eyes = Eyes {
            life: &life,
            rules: self.rules,
        };
        let (sources, worth) = eyes.weigh(account);
        let bad = worth.filter(|worth| *worth != Worth::Good);
        if let (Some(worth), Some(newest)) = (bad, life.newest[account])
            && !eyes.has_courtesy(account, &sources, Some(worth))
        {
            life.courtesies[account] = Some((worth, newest));
        }
        life
    }

    fn has_courtesy(&self, account: usize, sources: &[Source], worth: Option<Worth>) -> bool {
        let good_at = sources.iter().filter_map(|it| it.good_at).max();
        self.life.courtesies[account].is_some_and(|(against, newest)| {
            Some(against) == worth && worth != Some(Worth::Good) && good_at <= Some(newest)
        })
    }

    /// The sources of an account after disputes and refunds, and the best of them.
    fn weigh(&self, account: usize) -> (Vec<Source>, Option<Worth>) {
        let mut sources = self.sources(account);
        self.act(account, &mut sources);
        let hands = self.life.hands.iter().filter(|it| it.account == account);
        let now = self.life.now;
        if hands.clone().any(|it| it.expires.is_none_or(|at| now < at)) {
            for it in &mut sources {
                if it.is_free && it.worth != Some(Worth::Good) {
                    it.worth = None;
                }
            }
        }
        let best = sources.iter().filter_map(|it| it.worth).min();
        (sources, best)
    }

    fn sources(&self, account: usize) -> Vec<Source> {
        let life = self.life;
        let subs = (0..life.subs.len()).filter(|sub| life.subs[*sub].account == account);
        let bills = (0..life.bills.len()).filter(|bill| life.bills[*bill].account == account);
        let hands = life.hands.iter();
        let hands = hands.filter(|it| it.account == account && it.ignores_billing);
        let hands = hands.map(|it| {
            let is_live = it.expires.is_none_or(|at| life.now < at);
            Source {
                worth: Some(if is_live { Worth::Good } else { Worth::Ended }),
                gives: Vec::new(),
                if_good: Vec::new(),
                is_free: true,
                can_be_held: false,
                good_at: None,
                sub: None,
                bill: None,
            }
        });
        subs.map(|sub| self.subscription(sub))
            .chain(bills.flat_map(|bill| self.purchases(bill)))
            .chain(hands)
            .collect()
    }

    fn purchases(&self, index: usize) -> Vec<Source> {
        let bill = &self.life.bills[index];
        let Some(paid) = bill.paid else {
            return Vec::new();
        };
        let once = bill.lines.iter().filter(|line| line.period.is_none());
        let bought = once.filter(|line| has_package(line.price));
        let source = |price: &'static str| {
            let over = (price == "U").then_some(paid.at + UPDATES);
            let over = over.filter(|end| *end <= self.life.now);
            let (worth, gives) = if is_given_back(bill) {
                (Worth::Ended, Vec::new())
            } else if over.is_some() {
                (Worth::Kept, vec![(price, over)])
            } else {
                (Worth::Good, vec![(price, None)])
            };
            Source {
                worth: Some(worth),
                gives,
                if_good: vec![(price, None)],
                is_free: worth == Worth::Ended,
                can_be_held: false,
                good_at: Some(paid.at),
                sub: None,
                bill: Some(index),
            }
        };
        bought.map(|line| source(line.price)).collect()
    }

    /// Lets disputes and refunds act on their sources. Returns those that do.
    fn act(&self, account: usize, sources: &mut [Source]) -> BTreeSet<String> {
        let mut acting = BTreeSet::new();
        for effect in ["suspend", "expire"] {
            for (bill, since, ids, what) in self.claims(account) {
                if what != effect || ids.iter().all(|id| self.life.waived.contains(id)) {
                    continue;
                }
                for it in self.about(sources, bill, since) {
                    let acts = match (it.worth, effect) {
                        (None, _) => false,
                        (Some(Worth::Ended), "suspend") => it.can_be_held,
                        _ => true,
                    };
                    if !acts {
                        continue;
                    }
                    acting.extend(ids.clone());
                    it.is_free = false;
                    if effect == "suspend" {
                        it.worth = Some(Worth::Held);
                    } else {
                        it.worth = Some(Worth::Ended);
                        it.gives.clear();
                    }
                }
            }
        }
        acting
    }

    /// The disputes and full refunds of an account that the policy lets act: the bill, what payment
    /// later than this heals, their ids, and what they do.
    fn claims(&self, account: usize) -> Vec<(usize, Claim, Vec<String>, &'static str)> {
        let life = self.life;
        let own = |bill: usize| life.bills[bill].account == account;
        let disputes = life.disputes.iter().filter(|it| own(it.bill)).map(|it| {
            let what = match it.stage {
                Stage::Open => self.rules.on_dispute_opened,
                Stage::Lost => self.rules.on_dispute_lost,
                Stage::Won => "keep",
            };
            (
                it.bill,
                Claim::Dispute(it.opened),
                vec![it.id.clone()],
                what,
            )
        });
        let bills = (0..life.bills.len()).filter(|bill| own(*bill));
        let refunds = bills
            .filter(|bill| is_given_back(&life.bills[*bill]))
            .map(|bill| {
                let all = life.bills[bill].refunds.iter().map(|it| it.id.clone());
                (
                    bill,
                    Claim::Refund,
                    all.collect(),
                    self.rules.on_full_refund,
                )
            });
        disputes.chain(refunds).collect()
    }

    fn about<'s>(
        &self,
        sources: &'s mut [Source],
        bill: usize,
        claim: Claim,
    ) -> impl Iterator<Item = &'s mut Source> {
        let it = &self.life.bills[bill];
        let pays_period = it.lines.iter().any(|line| line.period.is_some());
        let sub = it.sub.filter(|_| pays_period);
        let since = match (claim, it.paid) {
            (Claim::Dispute(opened), _) => opened,
            // Also a later period that was paid before an old one was given back.
            (Claim::Refund, paid) => paid.map_or(0, |paid| paid.at),
        };
        let paid = sub.and_then(|sub| {
            let counting = self.counting(sub, false);
            counting.filter_map(|bill| Some(bill.paid?.at)).max()
        });
        let standing = it.refunds.iter().filter(|refund| refund.stands);
        let refunded = standing.map(|refund| refund.at).max();
        // What another payment covers goes on after the refund, and a renewal may be late.
        let goes_on = |sub| {
            let mut until = self.paid_until(sub, false).into_iter();
            let late = self.life.now - self.rules.silence_after;
            until.any(|(_, until)| Some(until) > refunded && until > late)
        };
        let is_covered = matches!(claim, Claim::Refund) && sub.is_some_and(goes_on);
        let is_paid_since = paid > Some(since) || is_covered;
        let of_purchase = matches!(claim, Claim::Dispute(_));
        sources.iter_mut().filter(move |source| {
            let is_sub = sub.is_some() && source.sub == sub && !is_paid_since;
            is_sub || of_purchase && source.bill == Some(bill)
        })
    }
}

#[derive(Clone, Copy)]
enum Claim {
    /// Opened then.
    Dispute(i64),
    Refund,
}
