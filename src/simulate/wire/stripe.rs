//! Stripe's objects, in the forms of before and after 2025-03-31.
//! <https://docs.stripe.com/changelog/basil> says what moved.

use serde_json::{Value, json};

use crate::domain::time::Timestamp;
use crate::simulate::person::{Account, Dispute, Form, Item, Payment, Subscription};

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
        "email": account.email, "livemode": true, "metadata": {}, "name": account.name,
        "phone": null, "preferred_locales": ["en"], "shipping": null, "tax_exempt": "none",
    })
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
        "latest_invoice": it.latest_invoice, "livemode": true, "metadata": {},
        "pause_collection": pause, "start_date": it.started_at, "status": it.phase.word(),
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

/// The fields in which invoices differ.
pub(in crate::simulate) struct Invoice<'a> {
    pub(in crate::simulate) id: &'a str,
    pub(in crate::simulate) reason: &'static str,
    pub(in crate::simulate) attempt: u32,
    pub(in crate::simulate) next_attempt: Option<i64>,
    pub(in crate::simulate) paid_by: Option<&'a Payment>,
    pub(in crate::simulate) at: i64,
}

/// <https://docs.stripe.com/api/invoices/object>
pub(in crate::simulate) fn invoice(
    account: &Account,
    it: &Subscription,
    invoice: &Invoice<'_>,
) -> Value {
    let amounts = it
        .items
        .iter()
        .map(|item| item.price.amount * item.quantity);
    let amount: i64 = amounts.sum();
    let is_paid = invoice.paid_by.is_some();
    let lines: Vec<Value> = it
        .items
        .iter()
        .map(|item| line(account, it, item))
        .collect();
    let mut object = json!({
        "id": invoice.id, "object": "invoice", "amount_due": amount,
        "amount_paid": if is_paid { amount } else { 0 },
        "amount_remaining": if is_paid { 0 } else { amount },
        "attempt_count": invoice.attempt, "attempted": invoice.attempt > 0,
        "billing_reason": invoice.reason, "collection_method": "charge_automatically",
        "created": invoice.at, "currency": "eur", "customer": account.id,
        "customer_address": null, "customer_email": account.email,
        "customer_name": account.name, "customer_phone": null,
        "lines": { "object": "list", "data": lines, "has_more": false, "total_count": lines.len() },
        "livemode": true, "metadata": {}, "next_payment_attempt": invoice.next_attempt,
        "number": null, "status": if is_paid { "paid" } else { "open" }, "total": amount,
    });
    match account.form {
        Form::Acacia => {
            object["subscription"] = json!(it.id);
            object["charge"] = json!(invoice.paid_by.map(|payment| &payment.id));
            object["payment_intent"] = json!(invoice.paid_by.map(|payment| &payment.intent));
            object["paid"] = json!(is_paid);
        }
        Form::Clover => {
            object["parent"] = json!({
                "type": "subscription_details", "quote_details": null,
                "subscription_details": { "metadata": {}, "subscription": it.id },
            });
        }
    }
    object
}

fn line(account: &Account, it: &Subscription, item: &Item) -> Value {
    let mut object = json!({
        "id": format!("il_{}", item.id), "object": "line_item",
        "amount": item.price.amount * item.quantity, "currency": "eur", "quantity": item.quantity,
    });
    match account.form {
        Form::Acacia => {
            object["price"] = json!({ "id": item.price.id, "product": item.price.product });
            object["subscription"] = json!(it.id);
            object["type"] = json!("subscription");
        }
        Form::Clover => {
            object["parent"] = json!({
                "type": "subscription_item_details",
                "subscription_item_details": {
                    "proration": false, "subscription": it.id, "subscription_item": item.id,
                },
            });
            object["pricing"] = json!({
                "type": "price_details",
                "price_details": { "price": item.price.id, "product": item.price.product },
            });
        }
    }
    object
}

/// <https://docs.stripe.com/api/payment_intents/object>
pub(in crate::simulate) fn intent(account: &Account, payment: &Payment) -> Value {
    let mut object = json!({
        "id": payment.intent, "object": "payment_intent", "amount": payment.amount,
        "amount_received": payment.amount, "created": payment.paid_at, "currency": "eur",
        "customer": account.id, "latest_charge": payment.id, "livemode": true, "metadata": {},
        "payment_method_types": ["card"], "status": "succeeded",
    });
    if account.form == Form::Acacia {
        object["invoice"] = json!(payment.invoice);
    }
    object
}

/// <https://docs.stripe.com/api/charges/object>
pub(in crate::simulate) fn charge(account: &Account, payment: &Payment) -> Value {
    let mut object = json!({
        "id": payment.id, "object": "charge", "amount": payment.amount,
        "amount_captured": payment.amount, "amount_refunded": payment.refunded, "captured": true,
        "created": payment.paid_at, "currency": "eur", "customer": account.id,
        "description": null, "disputed": false, "livemode": true, "metadata": {}, "paid": true,
        "payment_intent": payment.intent, "refunded": payment.refunded >= payment.amount,
        "status": "succeeded",
    });
    if account.form == Form::Acacia {
        object["invoice"] = json!(payment.invoice);
    }
    object
}

/// <https://docs.stripe.com/api/refunds/object>
pub(in crate::simulate) fn refund(payment: &Payment, id: &str, part: i64) -> Value {
    json!({
        "id": id, "object": "refund", "amount": part, "charge": payment.id, "currency": "eur",
        "metadata": {}, "payment_intent": payment.intent, "reason": null, "status": "succeeded",
    })
}

/// <https://docs.stripe.com/api/disputes/object>
pub(in crate::simulate) fn dispute(it: &Dispute, payment: &Payment, status: &str) -> Value {
    json!({
        "id": it.id, "object": "dispute", "amount": payment.amount, "balance_transactions": [],
        "charge": payment.id, "created": it.opened_at, "currency": "eur",
        "evidence_details": { "has_evidence": false, "past_due": false, "submission_count": 0 },
        "livemode": true, "metadata": {}, "payment_intent": payment.intent,
        "reason": "fraudulent", "status": status,
    })
}

/// <https://docs.stripe.com/api/checkout/sessions/object>
pub(in crate::simulate) fn session(account: &Account, it: &Subscription, id: &str) -> Value {
    json!({
        "id": id, "object": "checkout.session", "currency": "eur", "customer": account.id,
        "customer_details": {
            "address": null, "email": account.email, "name": account.name, "phone": null,
            "tax_exempt": "none", "tax_ids": [],
        },
        "customer_email": null, "livemode": true, "metadata": {}, "mode": "subscription",
        "payment_intent": null, "payment_status": "paid", "status": "complete",
        "subscription": it.id,
    })
}

/// An object without an id, such as the preview of an invoice.
pub(in crate::simulate) fn noise(account: &Account) -> Value {
    json!({ "object": "preview", "customer": account.id, "customer_email": account.email })
}
