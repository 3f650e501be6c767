//! Reading the payments of a customer.

use std::cmp::Reverse;

use super::customers::{FindError, shown};
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::apply::payments::Payments;
use crate::domain::billing::fact::Line;
use crate::domain::billing::history::PaymentHistory;
use crate::domain::billing::payment::Payment;
use crate::domain::billing::standing::returned;
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::time::Timestamp;
use crate::store::Store;

/// A payment as it stands.
#[derive(Clone, Debug)]
pub struct ListedPayment {
    /// Its document.
    pub key: ObjectKey,
    /// What is known of it.
    pub history: PaymentHistory,
    /// Its lines.
    pub lines: Vec<Line>,
    /// The amount that was given back.
    pub given_back: i64,
    /// The newest instant of a refund of it.
    pub given_back_at: Option<Timestamp>,
    /// True if all of it was given back.
    pub is_given_back: bool,
    /// True if a dispute about it was lost.
    pub is_lost: bool,
    /// True if it was paid for something that costs anything, and the money is still the seller's.
    pub counts: bool,
    /// Its refunds, and the charges that count them.
    pub refunds: Vec<String>,
    /// The disputes about it.
    pub disputes: Vec<String>,
}

impl From<&Payment<'_>> for ListedPayment {
    fn from(payment: &Payment<'_>) -> Self {
        Self {
            key: payment.key.clone(),
            history: payment.history.clone(),
            lines: payment.lines.iter().map(|line| (*line).clone()).collect(),
            given_back: payment.given_back(),
            given_back_at: payment.given_back_at(),
            is_given_back: payment.is_given_back(),
            is_lost: payment.is_lost(),
            counts: payment.counts(false),
            refunds: payment.refunds.iter().map(|it| it.key.id.clone()).collect(),
            disputes: payment
                .disputes
                .iter()
                .map(|it| it.key.id.clone())
                .collect(),
        }
    }
}

impl ListedPayment {
    /// Returns its place in a list: the newest first.
    pub fn position(&self) -> (Reverse<Timestamp>, ObjectKey) {
        let history = &self.history;
        let at = history.paid.map_or(history.newest, |paid| paid.at);
        (Reverse(at), self.key.clone())
    }
}

/// Lists a customer's payments, the newest first.
///
/// # Errors
/// When there is no such customer.
pub async fn list_of(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
) -> Result<Vec<ListedPayment>, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, customer).await?;
    let lookup_keys = LookupKeys {
        customers: [customer.id.clone()].into(),
        ..LookupKeys::default()
    };
    let working_set = tx.working_set_load(app, &lookup_keys).await?;
    let accounts = working_set.accounts.values();
    let own = accounts.filter(|account| account.customer.as_ref() == Some(&customer.id));
    let own = own.filter(|account| working_set.counts(account));
    let own = own.map(|account| &account.key).collect();
    let payments = Payments::of(&working_set, &own);
    let mut all: Vec<ListedPayment> = payments.all.values().map(ListedPayment::from).collect();
    for (key, subscription) in &working_set.subscriptions {
        let of_it: Vec<_> = payments.of_subscription(key).collect();
        let owed = returned(&subscription.history, &of_it);
        for payment in all.iter_mut().filter(|it| owed.contains(&it.key)) {
            payment.counts = false;
        }
    }
    all.sort_by_key(ListedPayment::position);
    Ok(all)
}
