//! Transactions: what was billed, and how far it is paid.
//! <https://developer.paddle.com/webhooks/transactions/transaction-completed>
//!
//! `customer_id` and `subscription_id` are null on drafts, and the latter until the subscription
//! exists; a later event, or the subscription's first, names them.

use super::super::event::Event;
use super::super::reading::ReadError;
use super::customer;
use super::line;
use crate::domain::billing::fact::{Fact, PaymentFact, PaymentStep};
use crate::domain::id::Kind;

/// `transaction.completed`, `.paid`. A billed transaction is also completed by credits against it, which lower
/// what is owed: of one that was credited in full nothing was ever paid. What the customer's balance paid
/// is a credit in `totals` too, but no adjustment.
/// <https://developer.paddle.com/build/transactions/create-transaction-adjustments>
pub(super) fn paid(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let money = event.object.amount("details.totals.grand_total");
    let cost = event.object.amount("details.totals.total");
    let left = event.object.amount("details.adjusted_totals.total");
    if money == Some(0) && cost > Some(0) && left == Some(0) {
        return read(event, PaymentStep::Void);
    }
    let step = PaymentStep::Paid {
        money: money.or(cost).unwrap_or_default(),
        cost: cost.or(money).unwrap_or_default(),
    };
    read(event, step)
}

/// `transaction.payment_failed`, `.past_due`.
pub(super) fn failed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    read(event, PaymentStep::Failed { next_attempt: None })
}

/// `transaction.canceled`.
pub(super) fn canceled(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    read(event, PaymentStep::Void)
}

/// `transaction.billed`, and `.updated` and `.revised`, which come for any change.
pub(super) fn known(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    read(event, PaymentStep::Known)
}

/// `transaction.created`, `.ready`: drafts, of which only their customer is of use.
pub(super) fn named(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let transaction = event.need_key(Kind::Transaction, "id")?;
    let account = event.key(Kind::Account, "customer_id")?;
    let linked = account.map(|account| Fact::PaymentLink {
        ids: [transaction, account].into(),
    });
    Ok(linked.into_iter().collect())
}

fn read(event: &Event<'_>, step: PaymentStep) -> Result<Vec<Fact>, ReadError> {
    let payment = Fact::Payment(PaymentFact {
        document: event.need_key(Kind::Transaction, "id")?,
        account: event.key(Kind::Account, "customer_id")?,
        subscription: event.key(Kind::Subscription, "subscription_id")?,
        reason: event.object.word("origin")?.map(str::to_owned),
        step,
        lines: line::all(event, step)?,
        lines_incomplete: false,
        has_unpriced_items: false,
    });
    let account = event.key(Kind::Account, "customer_id")?;
    // Of what is bought once, this is the only object.
    let seller_id = account.and_then(|account| customer::seller_id(event, account, None, None));
    let facts = [payment].into_iter().chain(named(event)?);
    Ok(facts.chain(seller_id).collect())
}
