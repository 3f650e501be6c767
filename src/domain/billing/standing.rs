//! Where a subscription stands: its state, what it owes, and when it failed, paused or ended.
//!
//! The provider's status decides. A failed payment by itself changes nothing: both providers change
//! the status for each failure that matters. A payment can only help, and only the one that is owed.

use std::collections::BTreeSet;

use crate::domain::billing::fact::{SubscriptionState, SubscriptionStatus};
use crate::domain::billing::history::{Mark, MarkKind, SubscriptionHistory};
use crate::domain::billing::payment::Payment;
use crate::domain::billing::tie_break::TieBreak as _;
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::time::Timestamp;

/// The state that the newest facts result in.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub(super) state: SubscriptionState,
    /// The instant of these facts.
    pub(super) at: Timestamp,
    /// True if the facts allow another state too; the one with the least access was chosen.
    pub(super) ambiguous: bool,
    /// The end of a terminal state.
    pub(super) ended_at: Option<Timestamp>,
}

/// Returns the state of a subscription; `None` while no known status was seen.
pub(super) fn decided(history: &SubscriptionHistory) -> Option<Decided> {
    terminal(history).or_else(|| running(history))
}

fn terminal(history: &SubscriptionHistory) -> Option<Decided> {
    let terminal = history.terminal.as_ref()?;
    let (state, _) = terminal.states.iter().min_by(|a, b| a.0.by_access(&b.0))?;
    let ends = terminal.states.iter().filter_map(|(_, ended_at)| *ended_at);
    Some(Decided {
        state: state.clone(),
        at: terminal.at,
        ambiguous: false,
        ended_at: Some(ends.min().unwrap_or(terminal.at)),
    })
}

/// Returns the state before any end.
fn running(history: &SubscriptionHistory) -> Option<Decided> {
    let decision = history.recent.decide()?;
    Some(Decided {
        state: decision.state,
        at: decision.at,
        ambiguous: decision.ambiguous,
        ended_at: None,
    })
}

/// Returns the account that pays: that of the deciding fact, or else that of the newest fact that
/// names one.
pub fn payer(history: &SubscriptionHistory) -> Option<ObjectKey> {
    let named = || history.payer.as_ref().map(|(_, account)| account.clone());
    decided(history)
        .and_then(|decided| decided.state.account)
        .or_else(named)
}

/// A failure that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failing {
    pub(super) since: Timestamp,
    /// True if the provider has given up collecting, so that there is no grace.
    pub(super) given_up: bool,
}

/// What a subscription owes, and which of it was paid.
pub(super) struct Debts {
    /// The failure in which its last state before any end leaves it.
    pub(super) failing: Option<Failing>,
    /// The instant of the newest payment that healed.
    pub(super) healed_at: Option<Timestamp>,
    /// The invoices that it owes.
    pub(super) owed: BTreeSet<String>,
}

impl Debts {
    pub(super) fn new(history: &SubscriptionHistory, payments: &[&Payment<'_>]) -> Self {
        let mut debts = Self {
            failing: None,
            healed_at: None,
            owed: BTreeSet::new(),
        };
        let Some(running) = running(history) else {
            return debts;
        };
        let is_past_due = running.state.status == SubscriptionStatus::PastDue;
        let deciding = is_past_due.then(|| Mark {
            at: running.at,
            kind: MarkKind::PastDue,
            latest_invoice: running.state.latest_invoice.clone(),
        });
        let oldest = history.trail.first().map(|mark| mark.at);
        let oldest = oldest.or(Some(running.at));
        let marks: Vec<&Mark> = history.trail.iter().chain(&deciding).collect();
        // The failure that lasts began with the oldest mark that no payment healed. A payment heals
        // only until the provider gives up: what is paid after that does not make the same failure
        // begin later, which would take back an end that has passed.
        let mut since: Option<Timestamp> = None;
        let mut gave_up_at: Option<Timestamp> = None;
        for mark in marks.into_iter().rev() {
            if mark.kind == MarkKind::Paused {
                continue;
            }
            let paid_at = healing(mark, oldest, payments);
            let heals = |at: &&Timestamp| {
                mark.kind == MarkKind::PastDue && gave_up_at.is_none_or(|later| **at < later)
            };
            if let Some(at) = paid_at.iter().filter(heals).max() {
                debts.healed_at = debts.healed_at.max(Some(*at));
                continue;
            }
            since = Some(mark.at);
            if mark.kind == MarkKind::Unpaid {
                gave_up_at = since;
            }
            // An unpaid one is left only by its status, but what was paid since is paid.
            let owed = mark.latest_invoice.clone().filter(|_| paid_at.is_empty());
            debts.owed.extend(owed);
        }
        let owes = deciding.is_some_and(|mark| healing(&mark, oldest, payments).is_empty());
        let given_up = match running.state.status {
            SubscriptionStatus::Unpaid => true,
            // Paddle pauses, if the seller wants it so, what it could not collect, and gives no
            // reason: <https://developer.paddle.com/build/retain/configure-payment-recovery-dunning>
            SubscriptionStatus::Paused => match pause(&running.state) {
                Pause::Unpaid => true,
                Pause::TrialEnded => false,
                Pause::Wanted => running.state.pause_reason.is_none() && since.is_some(),
            },
            _ => false,
        };
        debts.failing = (owes || given_up).then(|| Failing {
            since: since.unwrap_or(running.at),
            given_up,
        });
        debts
    }

    /// True if a payment is of an invoice that is owed: a debit that was returned.
    pub(super) fn owe(&self, payment: &Payment<'_>) -> bool {
        payment.key.kind == Kind::Invoice && self.owed.contains(&payment.key.id)
    }
}

/// Returns the payments whose debit was returned: their subscription failed over them since, and
/// they do not count.
pub fn returned(history: &SubscriptionHistory, payments: &[&Payment<'_>]) -> Vec<ObjectKey> {
    let payments = payments.iter().copied();
    let payments: Vec<_> = payments.filter(|it| it.pays_for_subscription()).collect();
    let debts = Debts::new(history, &payments);
    let owed = payments.iter().filter(|it| debts.owe(it));
    owed.map(|it| it.key.clone()).collect()
}

/// Returns the instants of payments that pay what a `past_due` owes: its own invoice, or where it
/// shows none, a renewal.
fn healing(mark: &Mark, oldest: Option<Timestamp>, payments: &[&Payment<'_>]) -> Vec<Timestamp> {
    let pays = |payment: &Payment<'_>, at: Timestamp| {
        let is_first = payment.paid().is_some_and(|paid| paid.at == at);
        match (&mark.latest_invoice, payment.key.kind) {
            (Some(invoice), Kind::Invoice) => payment.key.id == *invoice && Some(at) >= oldest,
            (None, Kind::Invoice) => is_first && payment.is_renewal() && at >= mark.at,
            // Paddle names no document that is owed.
            (_, Kind::Transaction) => is_first && payment.is_renewal() && at > mark.at,
            _ => false,
        }
    };
    let costs = |payment: &&&Payment<'_>| payment.paid().is_some_and(|paid| paid.cost > 0);
    let mut instants = Vec::new();
    for payment in payments.iter().filter(costs) {
        // A debit that was returned can be collected again, under the same invoice.
        let paid_at = payment.history.paid_at();
        instants.extend(paid_at.filter(|at| pays(payment, *at)));
    }
    instants
}

/// What a pause means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Pause {
    /// Somebody wanted it.
    Wanted,
    /// The provider paused it because nobody paid: the same as `unpaid`.
    Unpaid,
    /// A trial ended without a payment method: nobody ever paid.
    TrialEnded,
}

/// Returns what a paused subscription's pause means. Stripe's words are an open set:
/// <https://docs.stripe.com/api/subscriptions/object>.
pub(in crate::domain) fn pause(state: &SubscriptionState) -> Pause {
    match state.pause_reason.as_deref() {
        Some("final_payment_failure" | "first_payment_failure") => Pause::Unpaid,
        Some("trial_end_without_payment_method") => Pause::TrialEnded,
        _ => Pause::Wanted,
    }
}
