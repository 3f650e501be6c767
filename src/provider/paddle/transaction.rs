//! Transactions: whether a subscription was paid.
//! <https://developer.paddle.com/webhooks/transactions/transaction-completed>
//!
//! `customer_id` and `subscription_id` are null on drafts, and the latter until the subscription
//! exists: a first checkout that fails touches nobody's access.

use super::super::event::Event;
use super::super::reading::ReadError;
use crate::domain::billing::fact::Fact;
use crate::domain::id::Kind;

/// `transaction.completed`. There is no "recovered" event: this, after a failure, is one.
pub(super) fn completed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let account = event.key(Kind::Account, "customer_id")?;
    let payment = event.key(Kind::Subscription, "subscription_id")?;
    let payment = payment.map(|subscription| Fact::PaymentSucceeded {
        subscription,
        account,
    });
    Ok(payment.into_iter().chain(named(event)?).collect())
}

/// `transaction.payment_failed`, `transaction.past_due`.
pub(super) fn failed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let account = event.key(Kind::Account, "customer_id")?;
    let payment = event.key(Kind::Subscription, "subscription_id")?;
    let payment = payment.map(|subscription| Fact::PaymentFailed {
        subscription,
        account,
    });
    Ok(payment.into_iter().chain(named(event)?).collect())
}

/// The other types: whose transaction it is, and how much was to be paid after credits.
pub(super) fn named(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let transaction = event.need_key(Kind::Transaction, "id")?;
    let Some(account) = event.key(Kind::Account, "customer_id")? else {
        return Ok(Vec::new());
    };
    let totals = ["details.totals.grand_total", "details.totals.total"];
    let amount = totals.iter().find_map(|place| event.object.amount(place));
    let charged = amount.map(|amount| Fact::Charged {
        payment: transaction.clone(),
        amount,
    });
    let references = Fact::PaymentLink {
        ids: [transaction, account].into(),
    };
    Ok([references].into_iter().chain(charged).collect())
}
