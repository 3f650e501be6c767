//! What somebody did, as the provider and the admin know it.
//!
//! Everything happens in order here, so each thing is simply what was done to it last.

use std::collections::BTreeSet;

use tollgate::domain::billing::fact::{Occurrence, SubscriptionState};

use super::worth::Worth;

/// The length of a period, in seconds.
pub(super) const PERIOD: i64 = 30;

/// A line of a bill. Without a period: for something bought once.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) price: &'static str,
    pub(super) amount: i64,
    pub(super) period: Option<(i64, i64)>,
}

#[derive(Clone, Debug)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) amount: i64,
    /// Told last then, while it stood.
    pub(super) at: i64,
    pub(super) stands: bool,
}

/// What was paid when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paid {
    pub(super) at: i64,
    pub(super) money: i64,
    pub(super) cost: i64,
}

/// An invoice, a transaction or a one-off payment.
#[derive(Clone, Debug)]
pub(super) struct Bill {
    pub(super) id: String,
    pub(super) account: usize,
    pub(super) sub: Option<usize>,
    pub(super) reason: &'static str,
    pub(super) lines: Vec<Line>,
    pub(super) paid: Option<Paid>,
    pub(super) failed: Option<i64>,
    /// Its debit was returned, and the subscription owes it again.
    pub(super) returned: bool,
    pub(super) refunds: Vec<Refund>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    Lost,
    Won,
}

#[derive(Clone, Debug)]
pub(super) struct Dispute {
    pub(super) id: String,
    pub(super) bill: usize,
    pub(super) opened: i64,
    pub(super) stage: Stage,
}

/// Why a subscription is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Wanted,
    NobodyPaid,
    TrialEnded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Trialing,
    Active,
    PastDue,
    Unpaid,
    Paused(Pause),
    Incomplete,
}

#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something of its own that happened to it"
)]
pub(super) struct Sub {
    pub(super) id: String,
    pub(super) account: usize,
    pub(super) price: &'static str,
    pub(super) phase: Phase,
    /// Began before Tollgate was there.
    pub(super) imported: bool,
    pub(super) began: i64,
    /// When it was last heard of.
    pub(super) heard: i64,
    pub(super) period_end: i64,
    pub(super) cancel_at: Option<i64>,
    pub(super) collection_paused: bool,
    /// The bill that it shows as its latest.
    pub(super) latest: Option<usize>,
    pub(super) failing_since: Option<i64>,
    pub(super) paused_since: Option<i64>,
    /// When it was last known to be good: active, on trial, or healed by a payment.
    pub(super) good_at: Option<i64>,
    /// The end that the provider told of.
    pub(super) ended: Option<i64>,
    pub(super) expired_incomplete: bool,
    pub(super) was_tried: bool,
    pub(super) was_incomplete: bool,
    pub(super) was_running: bool,
    pub(super) has_owed: bool,
    pub(super) is_odd: bool,
    pub(super) told: Option<SubscriptionState>,
    /// How many changes the second before the last one held, and the last one.
    pub(super) crowd: (u32, u32),
}

impl Sub {
    /// True if another change in this second can be told from those before it: their order follows
    /// from what each changed, and the state before them must be known.
    pub(super) fn may_crowd(&self, now: i64) -> bool {
        self.account == 0 && self.heard == now && self.crowd.0 <= 1
    }
}

/// A grant by hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hand {
    pub(super) account: usize,
    pub(super) ignores_billing: bool,
    pub(super) expires: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Hold {
    Suspended,
    Expired,
    Frozen(i64),
}

/// Two billing accounts, each a customer of its own: one at Stripe, one at Paddle.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub(super) now: i64,
    pub(super) subs: Vec<Sub>,
    pub(super) bills: Vec<Bill>,
    pub(super) disputes: Vec<Dispute>,
    pub(super) hands: Vec<Hand>,
    pub(super) holds: [Option<Hold>; 2],
    pub(super) waived: BTreeSet<String>,
    /// Against which state an admin gave courtesy, and what was known then.
    pub(super) courtesies: [Option<(Worth, i64)>; 2],
    /// The newest instant of a subscription or payment of each account.
    pub(super) newest: [Option<i64>; 2],
    pub(super) told: Vec<Occurrence>,
    /// So many things were told ever.
    pub(super) tellings: usize,
}
