//! Stripe's objects, in the forms of before and after 2025-03-31.
//! <https://docs.stripe.com/changelog/basil> says what moved.

use serde_json::{Value, json};

use crate::domain::time::Timestamp;
use crate::simulate::person::{Account, Bill, Document, Form, Item, Phase, Subscription};
use crate::simulate::shop;

/// <https://docs.stripe.com/api/customers/object>
pub(in crate::simulate) fn customer(account: &Account) -> Value {
    let address = account.street.as_ref().map(|street| {
        json!({
            "city": "Lyon", "country": "FR", "line1": street, "line2": null,
            "postal_code": "69001", "state": null,
        })
    });
    json!({
        "id": account.id, "object": "customer", "address": address, "balance": 0,
        "currency": "eur", "default_source": null, "delinquent": false, "description": null,
        "email": account.email, "livemode": true, "metadata": metadata(account),
        "name": account.name,
        "phone": null, "preferred_locales": ["en"], "shipping": null, "tax_exempt": "none",
    })
}

/// What the shop writes into each object, and something of no meaning here.
fn metadata(account: &Account) -> Value {
    let mut metadata = json!({ "campaign": "spring" });
    if let Some(id) = &account.seller_id {
        metadata[shop::SELLER_ID_KEY] = json!(id);
    }
    metadata
}

/// <https://docs.stripe.com/api/subscriptions/object>
pub(in crate::simulate) fn subscription(account: &Account, it: &Subscription) -> Value {
    let items: Vec<Value> = it
        .items
        .iter()
        .map(|item| item_of(account, it, item))
        .collect();
    let pause = it
        .is_collection_paused
        .then(|| json!({ "behavior": "void", "resumes_at": null }));
    let mut object = json!({
        "id": it.id, "object": "subscription", "billing_cycle_anchor": it.started_at,
        "cancel_at": null, "cancel_at_period_end": it.cancel_at.is_some(),
        "canceled_at": it.asked_to_cancel_at,
        "cancellation_details": { "comment": null, "feedback": null, "reason": it.end_reason },
        "collection_method": "charge_automatically", "created": it.started_at, "currency": "eur",
        "customer": account.id, "ended_at": it.ended_at.map(Timestamp::seconds),
        "items": {
            "object": "list", "data": items, "has_more": false, "total_count": it.items.len(),
            "url": format!("/v1/subscription_items?subscription={}", it.id),
        },
        "latest_invoice": it.latest_invoice, "livemode": true, "metadata": metadata(account),
        "pause_collection": pause, "pending_update": pending(it), "start_date": it.started_at,
        "status": it.phase.word(), "status_details": paused(it), "test_clock": null,
        "trial_end": it.trial_end, "trial_start": it.trial_end.map(|_| it.started_at),
    });
    match account.form {
        Form::Acacia => {
            object["current_period_start"] = json!(it.period.0);
            object["current_period_end"] = json!(it.period.1);
            object["discount"] = Value::Null;
            // With several items these two are null.
            let only = it.items.first().filter(|_| it.items.len() == 1);
            object["quantity"] = json!(only.map(|item| item.quantity));
            object["plan"] = json!(only.map(plan));
        }
        Form::Clover => {
            // Under flexible billing both are set.
            object["cancel_at"] = json!(it.cancel_at);
            object["billing_mode"] = json!({ "type": "flexible" });
            object["discounts"] = json!([]);
        }
    }
    object
}

/// The upgrade that waits for its payment.
fn pending(it: &Subscription) -> Option<Value> {
    let expires_at = it.period.1;
    it.has_pending_update
        .then(|| json!({ "expires_at": expires_at, "subscription_items": [] }))
}

fn paused(it: &Subscription) -> Option<Value> {
    let reason = it.pause_reason.filter(|_| it.phase == Phase::Paused)?;
    Some(json!({ "paused": { "subscription": { "type": reason } } }))
}

fn item_of(account: &Account, it: &Subscription, item: &Item) -> Value {
    let mut object = json!({
        "id": item.id, "object": "subscription_item", "created": it.started_at, "metadata": {},
        "price": {
            "id": item.price.id, "object": "price", "active": true, "billing_scheme": "per_unit",
            "currency": "eur", "livemode": true, "lookup_key": null, "metadata": {},
            "nickname": item.price.name, "product": item.price.product,
            "recurring": { "interval": "month", "interval_count": 1, "usage_type": "licensed" },
            "type": "recurring", "unit_amount": item.price.amount,
        },
        "quantity": item.quantity, "subscription": it.id, "tax_rates": [],
    });
    match account.form {
        Form::Acacia => object["plan"] = plan(item),
        Form::Clover => {
            object["current_period_start"] = json!(it.period.0);
            object["current_period_end"] = json!(it.period.1);
            object["discounts"] = json!([]);
        }
    }
    object
}

fn plan(item: &Item) -> Value {
    json!({
        "id": item.price.id, "object": "plan", "active": true, "amount": item.price.amount,
        "currency": "eur", "interval": "month", "interval_count": 1, "livemode": true,
        "product": item.price.product,
    })
}

/// A session that began a subscription.
/// <https://docs.stripe.com/api/checkout/sessions/object>
pub(in crate::simulate) fn session(account: &Account, it: &Subscription, id: &str) -> Value {
    let mut session = bare_session(account, id);
    session["mode"] = json!("subscription");
    session["subscription"] = json!(it.id);
    session["invoice"] = json!(it.latest_invoice);
    session
}

/// A session in which something was bought once.
pub(in crate::simulate) fn purchase(account: &Account, bill: &Bill, payment_status: &str) -> Value {
    let mut session = bare_session(account, &bill.session);
    let link = shop::link().id;
    let by_link = bill.lines.iter().any(|line| line.price.id == link);
    session["mode"] = json!("payment");
    session["payment_status"] = json!(payment_status);
    session["amount_subtotal"] = json!(bill.cost());
    session["amount_total"] = json!(bill.cost());
    session["payment_link"] = json!(by_link.then_some(link));
    match bill.form {
        Document::Invoice => {
            session["invoice"] = json!(bill.id);
            session["payment_intent"] = json!(bill.intent);
        }
        Document::Intent => session["payment_intent"] = json!(bill.intent),
        Document::Session | Document::Transaction => {}
    }
    session
}

fn bare_session(account: &Account, id: &str) -> Value {
    json!({
        "id": id, "object": "checkout.session", "currency": "eur", "customer": account.id,
        "customer_details": {
            "address": null, "email": account.email, "name": account.name, "phone": null,
            "tax_exempt": "none", "tax_ids": [],
        },
        "client_reference_id": shop::FORGED, "customer_email": null, "invoice": null,
        "livemode": true, "metadata": metadata(account),
        "payment_intent": null, "payment_link": null, "payment_status": "paid",
        "status": "complete", "subscription": null,
    })
}

/// An object without an id, such as the preview of an invoice.
pub(in crate::simulate) fn noise(account: &Account) -> Value {
    json!({ "object": "preview", "customer": account.id, "customer_email": account.email })
}
