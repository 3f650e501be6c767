//! Subscriptions. <https://developer.paddle.com/webhooks/subscriptions/subscription-updated>
//!
//! Every type carries the whole subscription, and `subscription.updated` comes along with the
//! specific types, so the type matters only where a subscription begins.

use super::super::event::Event;
use super::super::fields::Fields;
use super::super::reading::ReadError;
use super::customer;
use crate::domain::billing::fact::{
    Fact, Item, PaymentFact, PaymentStep, SubscriptionFact, SubscriptionState, SubscriptionStatus,
};
use crate::domain::id::Kind;
use crate::domain::time::Timestamp;

/// `subscription.*`.
pub(super) fn changed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let data = &event.object;
    let subscription = event.need_key(Kind::Subscription, "id")?;
    let status = SubscriptionStatus::parse(data.need_word("status")?);
    let ended_at = if status.is_terminal() {
        data.instant("canceled_at")?
    } else {
        None
    };
    let state = SubscriptionState {
        items: items(data, &status)?,
        status,
        // Null while paused and when canceled.
        period_end: data.instant("current_billing_period.ends_at")?,
        cancel_at: cancel_at(data)?,
        collection_paused: false,
        items_incomplete: data.is_cut("items"),
        account: Some(event.need_key(Kind::Account, "customer_id")?),
        latest_invoice: None,
        pause_reason: None,
        test_clock: None,
    };
    let imported = event.type_name == "subscription.imported";
    let created = imported || event.type_name == "subscription.created";
    let mut facts = vec![Fact::Subscription(SubscriptionFact {
        subscription: subscription.clone(),
        state,
        before: None,
        created,
        imported,
        request: None,
        ended_at,
    })];
    if created {
        facts.extend(first_payment(event)?);
    }
    // The subscription's own `import_meta` names a subscription of the system before.
    let account = event.need_key(Kind::Account, "customer_id")?;
    let seller_id = customer::seller_id(event, account, Some(subscription), None);
    facts.extend(seller_id);
    Ok(facts)
}

/// The transaction that the subscription began with, which may name neither it nor the customer.
fn first_payment(event: &Event<'_>) -> Result<Option<Fact>, ReadError> {
    let Some(document) = event.key(Kind::Transaction, "transaction_id")? else {
        return Ok(None);
    };
    Ok(Some(Fact::Payment(PaymentFact {
        document,
        account: event.key(Kind::Account, "customer_id")?,
        subscription: event.key(Kind::Subscription, "id")?,
        reason: None,
        step: PaymentStep::Known,
        lines: Vec::new(),
        lines_incomplete: false,
        has_unpriced_items: false,
    })))
}

/// Pauses and resumptions can be scheduled too; they show when they come.
fn cancel_at(data: &Fields<'_>) -> Result<Option<Timestamp>, ReadError> {
    match data.word("scheduled_change.action")? {
        Some("cancel") => data.instant("scheduled_change.effective_at"),
        _ => Ok(None),
    }
}

/// The items that are bought. An item's own status follows the subscription's, and one-off items
/// count as long as they are listed.
fn items(data: &Fields<'_>, status: &SubscriptionStatus) -> Result<Vec<Item>, ReadError> {
    match data.list("items")? {
        Some(members) => members.iter().map(item).collect(),
        // Nothing is bought any more, so that it ended can be said without.
        None if status.is_terminal() => Ok(Vec::new()),
        // Without its items an active subscription would seem to take everything away.
        None => Err(data.missing("items")),
    }
}

fn item(fields: &Fields<'_>) -> Result<Item, ReadError> {
    Ok(Item {
        price: fields.need_id(&["price"])?.to_owned(),
        product: fields
            .id(&["price.product_id", "product"])?
            .map(str::to_owned),
        lookup_key: None,
        quantity: fields.integer("quantity")?,
    })
}
