//! The sources of a customer's access: subscriptions, purchases, and grants by hand that do not
//! follow billing.
//!
//! A customer stands as its best source does. A dispute or refund acts on the source whose money it
//! is about, and on no other.

use std::collections::BTreeSet;

use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::access::plan::{Plan, Plans, Price};
use crate::domain::apply::working_set::Subscription;
use crate::domain::billing::assessment::{Assessment, Gift, Standing, Verdict};
use crate::domain::billing::history::Paid;
use crate::domain::billing::payment::Payment;
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// A source of access.
#[derive(Clone, Debug)]
pub struct Source {
    /// The kind.
    pub kind: SourceKind,
    /// The subscription, or the document of the payment of a purchase; `None` for a grant.
    pub key: Option<ObjectKey>,
    /// The account that pays; `None` for a grant.
    pub account: Option<ObjectKey>,
    /// The verdict without any dispute or refund; `None` if it does not count.
    pub own: Option<Verdict>,
    /// The verdict; `None` if it does not count.
    pub verdict: Option<Verdict>,
    /// The reason of its own verdict, as a word of ours; `None` while it is good.
    pub reason: Option<&'static str>,
    /// The start of what the reason says.
    pub since: Option<Timestamp>,
    /// The oldest instant known of it.
    pub began: Option<Timestamp>,
    /// The prices that it gives now.
    pub gives: Vec<Gift>,
    /// The prices that it would give if it were good.
    pub as_if_good: Vec<Gift>,
    /// Prices without a plan, for which a flag is raised.
    pub unmapped: Vec<Price>,
    /// True if it does not count beside a grant by hand that has not run out.
    pub spares_grants: bool,
    /// True if a lost dispute can hold it although it has ended.
    pub can_be_held: bool,
    /// The newest instant at which it was known to be good.
    pub good_moment: Option<Timestamp>,
    /// Of a subscription the newest instant of a payment that counts.
    pub paid_at: Option<Timestamp>,
    /// Of a subscription the moment until which any price of it is paid.
    pub paid_until: Option<Timestamp>,
    /// The next time at which a timer changes it.
    pub due_at: Option<Timestamp>,
}

/// The kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A subscription.
    Subscription,
    /// Something bought once.
    Purchase,
    /// A grant by hand.
    Grant,
}

words!(SourceKind, all {
    Subscription = "subscription",
    Purchase = "purchase",
    Grant = "grant",
});

impl Source {
    /// Makes the source that a subscription is. `though_lost` is its verdict if no dispute had been
    /// lost.
    pub(super) fn subscription(
        it: &Subscription,
        assessment: &Assessment,
        though_lost: Option<Verdict>,
        plans: &Plans,
    ) -> Self {
        let scope = &it.key.scope;
        let ended = assessment.standing == Standing::Ended;
        let as_if_good = assessment.as_if_good();
        let shown = if ended {
            &assessment.gives
        } else {
            &as_if_good
        };
        // Where features say what it buys, a price without a plan is no mistake.
        let by_features = !assessment.features.is_empty();
        let has_plan = |price: &Price| price.plan(scope, plans).is_some();
        let unmapped = shown.iter().map(|gift| &gift.price);
        let unmapped = unmapped.filter(|price| !by_features && !has_plan(price));
        let unmapped = unmapped.cloned().collect();
        let counting = |gifts: &[Gift]| -> Vec<Gift> {
            let gifts = gifts.iter();
            let gifts = gifts.filter(|gift| !by_features || has_plan(&gift.price));
            gifts.cloned().collect()
        };
        Self {
            kind: SourceKind::Subscription,
            key: Some(it.key.clone()),
            account: it.account.clone(),
            own: assessment.verdict,
            verdict: assessment.verdict,
            reason: assessment.reason,
            since: match assessment.standing {
                Standing::Failing => assessment.failing_since.or(assessment.silent_since),
                Standing::Paused => assessment.paused_since,
                Standing::Ended => assessment.ended_at,
                Standing::Good | Standing::Pending | Standing::Unknown => None,
            },
            began: it.history.began,
            as_if_good: match assessment.verdict {
                Some(Verdict::Kept) => without_dates(&counting(&assessment.gives)),
                _ => counting(&as_if_good),
            },
            unmapped,
            gives: counting(&assessment.gives),
            spares_grants: assessment.spares_grants,
            can_be_held: matches!(though_lost, Some(verdict) if verdict != Verdict::Ended),
            good_moment: assessment.good_moment,
            paid_at: assessment.paid_at.last().copied(),
            paid_until: assessment.paid_until.iter().map(|(_, until)| *until).max(),
            due_at: assessment.due_at,
        }
    }

    /// Makes the sources that the lines of a payment are that bought something once, one a price.
    pub(super) fn purchases(
        payment: &Payment<'_>,
        account: Option<&ObjectKey>,
        plans: &Plans,
        now: Timestamp,
    ) -> Vec<Self> {
        let Some(paid) = payment.paid() else {
            return Vec::new();
        };
        let scope = &payment.key.scope;
        let once = payment
            .lines
            .iter()
            .filter(|line| line.once && line.amount >= 0);
        let prices: BTreeSet<(Price, Option<&String>)> = once
            .map(|line| (Price::from(*line), line.id.as_ref()))
            .collect();
        let lines = payment.lines.iter();
        let mut mapped = lines.filter(|line| Price::from(**line).plan(scope, plans).is_some());
        let is_mapped = mapped.next().is_some();
        let mut seen = BTreeSet::new();
        let mut purchases = Vec::new();
        for (price, line) in prices {
            if !seen.insert(price.price.clone()) {
                continue;
            }
            let plan = price.plan(scope, plans).map(|(_, plan)| plan);
            let unmapped = (plan.is_none() && !is_mapped).then(|| {
                // Of a Checkout session that shows no lines the session is what to look at.
                let of_session = matches!(payment.key.kind, Kind::Session | Kind::PaymentIntent);
                let subject = line.filter(|_| of_session).unwrap_or(&price.price);
                Price {
                    price: subject.clone(),
                    product: None,
                    lookup_key: None,
                }
            });
            let mut purchase = Self::bought(payment, account, paid, unmapped.into_iter().collect());
            purchase.good_moment = Some(paid.at);
            if let Some(plan) = plan.filter(|plan| plan.buys()) {
                purchase.judge(payment, plan, &price, paid.at, now);
            }
            purchases.push(purchase);
        }
        purchases.extend(Self::unpriced(payment, account, paid));
        purchases
    }

    /// Makes the source that an amount is which was paid for nothing that has a price: it gives nothing,
    /// and is flagged under its document.
    fn unpriced(payment: &Payment<'_>, account: Option<&ObjectKey>, paid: Paid) -> Option<Self> {
        let is_amount = payment.has_unpriced_items && payment.lines.is_empty();
        // What is charged to a subscription beside its prices is an extra of it.
        let flagged = is_amount && payment.subscription().is_none();
        let is_kept = paid.money > 0 && !payment.is_given_back();
        (flagged && is_kept).then(|| {
            let document = Price {
                price: payment.key.id.clone(),
                product: None,
                lookup_key: None,
            };
            Self::bought(payment, account, paid, vec![document])
        })
    }

    /// Makes the source of something that was paid for once, before it is known what it gives.
    fn bought(
        payment: &Payment<'_>,
        account: Option<&ObjectKey>,
        paid: Paid,
        unmapped: Vec<Price>,
    ) -> Self {
        Self {
            kind: SourceKind::Purchase,
            key: Some(payment.key.clone()),
            account: account.cloned(),
            own: None,
            verdict: None,
            reason: None,
            since: None,
            began: Some(paid.at),
            gives: Vec::new(),
            as_if_good: Vec::new(),
            unmapped,
            spares_grants: false,
            can_be_held: false,
            good_moment: None,
            paid_at: None,
            paid_until: None,
            due_at: None,
        }
    }

    fn judge(
        &mut self,
        payment: &Payment<'_>,
        plan: &Plan,
        price: &Price,
        paid_at: Timestamp,
        now: Timestamp,
    ) {
        let gift = |until| Gift {
            price: price.clone(),
            until,
        };
        self.as_if_good = vec![gift(None)];
        let updates_end = plan.updates.map(|updates| updates.after(paid_at));
        let over = updates_end.filter(|end| *end <= now);
        let given_back_at = payment.price_given_back_at(price);
        self.own = Some(if given_back_at.is_some() {
            self.reason = Some("full_refund");
            self.since = given_back_at;
            self.spares_grants = true;
            Verdict::Ended
        } else if over.is_some() {
            self.reason = Some("updates_ended");
            self.since = over;
            self.gives = vec![gift(over)];
            Verdict::Kept
        } else {
            self.due_at = updates_end;
            self.gives = vec![gift(None)];
            Verdict::Good
        });
        self.verdict = self.own;
    }

    /// Makes the source that a grant by hand is which does not follow billing.
    pub(super) fn grant(grant: &HandGrant, now: Timestamp) -> Option<Self> {
        let is_live = grant.is_live(now);
        let verdict = Some(if is_live {
            Verdict::Good
        } else {
            Verdict::Ended
        });
        (grant.billing == GrantBilling::Ignore).then(|| Self {
            kind: SourceKind::Grant,
            key: None,
            account: None,
            own: verdict,
            verdict,
            reason: (!is_live).then_some("grant_expired"),
            since: grant.expires_at.filter(|_| !is_live),
            began: None,
            gives: Vec::new(),
            as_if_good: Vec::new(),
            unmapped: Vec::new(),
            spares_grants: true,
            can_be_held: false,
            good_moment: None,
            paid_at: None,
            paid_until: None,
            due_at: None,
        })
    }

    /// Lets a dispute hold the source. Returns false if it does not count, or has ended without
    /// leaving anything anyway.
    pub(super) fn hold(&mut self) -> bool {
        let holds = match self.verdict {
            None => false,
            Some(Verdict::Ended) => self.can_be_held,
            Some(_) => true,
        };
        if holds {
            self.verdict = Some(Verdict::Held);
            self.spares_grants = false;
        }
        holds
    }

    /// Ends the source, so that it leaves nothing. Returns false if it does not count.
    pub(super) fn expire(&mut self) -> bool {
        if self.verdict.is_none() {
            return false;
        }
        self.verdict = Some(Verdict::Ended);
        self.gives.clear();
        self.spares_grants = false;
        true
    }
}

fn without_dates(gifts: &[Gift]) -> Vec<Gift> {
    let open = gifts.iter().map(|gift| Gift {
        price: gift.price.clone(),
        until: None,
    });
    open.collect()
}
