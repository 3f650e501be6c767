//! Stripe's invoices, charges, refunds and disputes, in the forms of before and after 2025-03-31:
//! since then an invoice names neither its charge nor its intent, and only `invoice_payment.paid`
//! ties them. <https://docs.stripe.com/changelog/basil>

use serde_json::{Value, json};

use crate::domain::time::Timestamp;
use crate::simulate::person::{Account, Bill, Dispute, Document, Form, Line, Subscription};

/// How an invoice stands, besides what it is for.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::simulate) struct Standing {
    pub(in crate::simulate) attempt: u32,
    pub(in crate::simulate) next_attempt: Option<i64>,
    pub(in crate::simulate) is_paid: bool,
}

/// <https://docs.stripe.com/api/invoices/object>
pub(in crate::simulate) fn invoice(
    account: &Account,
    subscription: Option<&Subscription>,
    bill: &Bill,
    standing: Standing,
) -> Value {
    let Standing {
        attempt,
        next_attempt,
        is_paid,
    } = standing;
    let subscription = subscription.map(|it| &it.id);
    let form = account.form;
    let lines: Vec<Value> = bill
        .lines
        .iter()
        .map(|it| line(form, subscription, bill, it))
        .collect();
    let due = bill.money;
    let mut object = json!({
        "id": bill.id, "object": "invoice", "amount_due": due,
        "amount_paid": if is_paid { due } else { 0 },
        "amount_remaining": if is_paid { 0 } else { due },
        "attempt_count": attempt, "attempted": attempt > 0 || is_paid,
        "billing_reason": bill.reason, "collection_method": "charge_automatically",
        "created": bill.made_at, "currency": "eur", "customer": account.id,
        "customer_address": null, "customer_email": account.email,
        "customer_name": account.name, "customer_phone": null,
        "lines": { "object": "list", "data": lines, "has_more": false, "total_count": lines.len() },
        "livemode": true, "metadata": {}, "next_payment_attempt": next_attempt,
        "number": null, "status": if is_paid { "paid" } else { "open" },
        "subtotal": bill.cost(), "total": bill.cost(),
    });
    match form {
        Form::Acacia => {
            let charged = is_paid && due > 0;
            object["subscription"] = json!(subscription);
            object["charge"] = json!(charged.then_some(&bill.charge));
            object["payment_intent"] = json!((due > 0).then_some(&bill.intent));
            object["paid"] = json!(is_paid);
        }
        Form::Clover => {
            object["parent"] = subscription.map_or(Value::Null, |subscription| {
                json!({
                    "type": "subscription_details", "quote_details": null,
                    "subscription_details": { "metadata": {}, "subscription": subscription },
                })
            });
        }
    }
    object
}

/// <https://docs.stripe.com/api/invoice-line-item/object>
fn line(form: Form, subscription: Option<&String>, bill: &Bill, it: &Line) -> Value {
    let (start, end) = it.period.unwrap_or((bill.made_at, bill.made_at));
    let once = it.period.is_none();
    let subscription = subscription.filter(|_| !once);
    let mut object = json!({
        "id": it.id, "object": "line_item", "amount": it.amount, "currency": "eur",
        "description": it.price.name, "discount_amounts": [], "discountable": true,
        "livemode": true, "metadata": {}, "period": { "start": start, "end": end },
        "quantity": it.quantity,
    });
    match form {
        Form::Acacia => {
            let kind = if once || it.is_proration {
                "invoiceitem"
            } else {
                "subscription"
            };
            object["price"] = json!({
                "id": it.price.id, "object": "price", "product": it.price.product,
                "type": if once { "one_time" } else { "recurring" },
            });
            object["proration"] = json!(it.is_proration);
            object["subscription"] = json!(subscription);
            if !once {
                object["subscription_item"] = json!(it.item);
            }
            object["type"] = json!(kind);
        }
        Form::Clover => {
            object["parent"] = if once {
                json!({
                    "type": "invoice_item_details",
                    "invoice_item_details": {
                        "invoice_item": it.id.replacen("il_", "ii_", 1), "proration": false,
                        "subscription": null,
                    },
                    "subscription_item_details": null,
                })
            } else {
                json!({
                    "type": "subscription_item_details",
                    "invoice_item_details": null,
                    "subscription_item_details": {
                        "invoice_item": null, "proration": it.is_proration,
                        "subscription": subscription, "subscription_item": it.item,
                    },
                })
            };
            object["pricing"] = json!({
                "type": "price_details",
                "price_details": { "price": it.price.id, "product": it.price.product },
            });
        }
    }
    object
}

/// The payment of an invoice, which ties it to its intent.
/// <https://docs.stripe.com/api/invoice-payment/object>
pub(in crate::simulate) fn invoice_payment(bill: &Bill, at: i64) -> Value {
    json!({
        "id": bill.id.replacen("in_", "inpay_", 1), "object": "invoice_payment",
        "amount_paid": bill.money, "amount_requested": bill.money, "created": bill.made_at,
        "currency": "eur", "invoice": bill.id, "is_default": true, "livemode": true,
        "payment": { "payment_intent": bill.intent, "type": "payment_intent" }, "status": "paid",
        "status_transitions": { "canceled_at": null, "paid_at": at },
    })
}

/// <https://docs.stripe.com/api/payment_intents/object>
pub(in crate::simulate) fn intent(account: &Account, bill: &Bill) -> Value {
    let mut object = json!({
        "id": bill.intent, "object": "payment_intent", "amount": bill.money,
        "amount_received": bill.money, "created": bill.made_at, "currency": "eur",
        "customer": account.id, "latest_charge": bill.charge, "livemode": true, "metadata": {},
        "payment_method_types": ["card"], "status": "succeeded",
    });
    name_invoice(&mut object, account, bill);
    object
}

/// <https://docs.stripe.com/api/charges/object>
pub(in crate::simulate) fn charge(account: &Account, bill: &Bill) -> Value {
    let mut object = json!({
        "id": bill.charge, "object": "charge", "amount": bill.money,
        "amount_captured": bill.money, "amount_refunded": bill.refunded, "captured": true,
        "created": bill.made_at, "currency": "eur", "customer": account.id,
        "description": null, "disputed": false, "livemode": true, "metadata": {}, "paid": true,
        "payment_intent": bill.intent, "refunded": bill.refunded >= bill.money,
        "status": "succeeded",
    });
    name_invoice(&mut object, account, bill);
    object
}

fn name_invoice(object: &mut Value, account: &Account, bill: &Bill) {
    if account.form == Form::Acacia {
        let invoice = Some(&bill.id).filter(|_| bill.form == Document::Invoice);
        object["invoice"] = json!(invoice);
    }
}

/// <https://docs.stripe.com/api/refunds/object>
pub(in crate::simulate) fn refund(bill: &Bill, id: &str, part: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "refund", "amount": part, "charge": bill.charge, "currency": "eur",
        "metadata": {}, "payment_intent": bill.intent, "reason": null, "status": status,
    })
}

/// <https://docs.stripe.com/api/disputes/object>
pub(in crate::simulate) fn dispute(it: &Dispute, bill: &Bill, status: &str) -> Value {
    json!({
        "id": it.id, "object": "dispute", "amount": bill.money, "balance_transactions": [],
        "charge": bill.charge, "created": Timestamp::seconds(it.opened_at), "currency": "eur",
        "evidence_details": { "has_evidence": false, "past_due": false, "submission_count": 0 },
        "livemode": true, "metadata": {}, "payment_intent": bill.intent,
        "reason": "fraudulent", "status": status,
    })
}
