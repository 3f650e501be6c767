//! Subscriptions. <https://docs.stripe.com/api/subscriptions/object>

use super::super::event::Event;
use super::super::fields::Fields;
use super::super::reading::ReadError;
use super::customer;
use crate::domain::billing::fact::{
    Fact, Item, SubscriptionFact, SubscriptionState, SubscriptionStatus,
};
use crate::domain::id::{Kind, Scope};
use crate::domain::time::Timestamp;

/// What newer versions of the API say of a trial that ended without a payment method.
const TRIAL_ENDED: &str = "trial_end_without_payment_method";

/// `customer.subscription.created`, `.updated`, `.deleted`, `.paused`, `.resumed`.
pub(super) fn changed(event: &Event<'_>) -> Result<Vec<Fact>, ReadError> {
    let object = &event.object;
    let subscription = event
        .scope
        .key(Kind::Subscription, object.need_id(&["id"])?);
    let account = event.need_account()?;
    let mut status = SubscriptionStatus::parse(object.need_word("status")?);
    if event.type_name == "customer.subscription.deleted" && !status.is_terminal() {
        status = SubscriptionStatus::Canceled;
    }
    let ended_at = if status.is_terminal() {
        object.seconds("ended_at")?
    } else {
        None
    };
    let mut facts = vec![Fact::Subscription(SubscriptionFact {
        subscription: subscription.clone(),
        state: read(&event.scope, object, status)?,
        before: before(event),
        created: event.type_name == "customer.subscription.created",
        imported: false,
        request: event.request.clone(),
        ended_at,
    })];
    facts.extend(customer::seller_id(event, account, Some(subscription)));
    Ok(facts)
}

/// The values before the change. They only order events of one second; if it cannot be read, the
/// event is an observation like any other.
fn before(event: &Event<'_>) -> Option<SubscriptionState> {
    let object = event.object_before()?;
    let object = Fields::new(&object, "data.object");
    let status = SubscriptionStatus::parse(object.need_word("status").ok()?);
    read(&event.scope, &object, status).ok()
}

fn read(
    scope: &Scope,
    object: &Fields<'_>,
    status: SubscriptionStatus,
) -> Result<SubscriptionState, ReadError> {
    let members = object.list("items.data")?;
    let shown = members.as_deref().unwrap_or_default();
    let period_end = of_period(object, shown, "current_period_end")?;
    let period_start = of_period(object, shown, "current_period_start")?;
    let at_period_end = object.flag("cancel_at_period_end")?;
    let account = object
        .id(&["customer", "customer_account"])?
        .map(|id| scope.key(Kind::Account, id));
    let pause_reason = pause_reason(object, &status, period_start)?;
    Ok(SubscriptionState {
        items: items(object, members, &status)?,
        status,
        period_end,
        // Since 2025-09-30 both are set for a cancellation at the end of the period.
        cancel_at: object
            .seconds("cancel_at")?
            .or(period_end.filter(|_| at_period_end)),
        collection_paused: object.at("pause_collection").is_some(),
        items_incomplete: object.flag("items.has_more").unwrap_or_default()
            || object.is_cut("items.data"),
        account,
        latest_invoice: object.id(&["latest_invoice"])?.map(str::to_owned),
        pause_reason,
        test_clock: object.id(&["test_clock"])?.map(str::to_owned),
    })
}

/// The latest beginning or end of a period. Since 2025-03-31 each item has a period of its own; before, the
/// subscription had one.
fn of_period(
    object: &Fields<'_>,
    members: &[Fields<'_>],
    name: &str,
) -> Result<Option<Timestamp>, ReadError> {
    let mut latest = None;
    for member in members {
        latest = latest.max(member.seconds(name)?);
    }
    if latest.is_some() {
        Ok(latest)
    } else {
        object.seconds(name)
    }
}

/// Why it is paused. Until 2026-09-30 there was one reason, and no field for it: a trial that ended without a
/// payment method. Its period is the trial's, while a later pause falls into one that began after the trial.
fn pause_reason(
    object: &Fields<'_>,
    status: &SubscriptionStatus,
    period_start: Option<Timestamp>,
) -> Result<Option<String>, ReadError> {
    if let Some(reason) = object.word("status_details.paused.subscription.type")? {
        return Ok(Some(reason.to_owned()));
    }
    let is_new = object.object("status_details").is_some();
    if *status != SubscriptionStatus::Paused || is_new {
        return Ok(None);
    }
    let trial_end = object.seconds("trial_end")?;
    let is_of_trial = trial_end.is_some_and(|end| period_start.is_some_and(|start| start < end));
    Ok(is_of_trial.then(|| TRIAL_ENDED.to_owned()))
}

/// The items that are bought. Old events have `plan` in place of `price`, on the item or on the
/// subscription itself.
fn items(
    object: &Fields<'_>,
    members: Option<Vec<Fields<'_>>>,
    status: &SubscriptionStatus,
) -> Result<Vec<Item>, ReadError> {
    match members {
        Some(members) => members.iter().map(item).collect(),
        None if object.at("plan").is_some() => Ok(vec![item(object)?]),
        // Nothing is bought any more, so that it ended can be said without.
        None if status.is_terminal() => Ok(Vec::new()),
        // Without its items an active subscription would seem to take everything away.
        None => Err(object.missing("items.data")),
    }
}

fn item(fields: &Fields<'_>) -> Result<Item, ReadError> {
    Ok(Item {
        price: fields.need_id(&["price", "plan"])?.to_owned(),
        product: fields
            .id(&["price.product", "plan.product"])?
            .map(str::to_owned),
        lookup_key: fields.word("price.lookup_key")?.map(str::to_owned),
        quantity: fields.integer("quantity")?,
    })
}
