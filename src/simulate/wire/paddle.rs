//! Paddle Billing's entities. <https://developer.paddle.com/webhooks/overview>

use serde_json::{Value, json};

use crate::domain::time::Timestamp;
use crate::simulate::life::seconds;
use crate::simulate::person::{Account, Item, Payment, Phase, Subscription};
use crate::simulate::shop::Price;

/// <https://developer.paddle.com/webhooks/customers/customer-updated>
pub(in crate::simulate) fn customer(account: &Account) -> Value {
    json!({
        "id": account.id, "name": account.name, "email": account.email, "locale": "en",
        "status": "active", "custom_data": null, "marketing_consent": false, "import_meta": null,
    })
}

/// <https://developer.paddle.com/webhooks/addresses/address-created>
pub(in crate::simulate) fn address(account: &Account) -> Value {
    json!({
        "id": account.id.replacen("ctm", "add", 1), "customer_id": account.id,
        "country_code": "FR", "first_line": account.street, "city": "Lyon",
        "postal_code": "69001", "status": "active", "custom_data": null,
    })
}

/// <https://developer.paddle.com/webhooks/subscriptions/subscription-updated>
pub(in crate::simulate) fn subscription(account: &Account, it: &Subscription) -> Value {
    let runs = !matches!(it.phase, Phase::Paused | Phase::Canceled);
    let period =
        runs.then(|| json!({ "starts_at": text(it.period.0), "ends_at": text(it.period.1) }));
    let bills_again = runs && it.cancel_at.is_none();
    let next = bills_again.then(|| text(it.period.1));
    let items: Vec<Value> = it
        .items
        .iter()
        .map(|item| item_of(it, item, next.as_deref()))
        .collect();
    json!({
        "id": it.id, "status": it.phase.word(), "customer_id": account.id,
        "address_id": account.id.replacen("ctm", "add", 1), "business_id": null,
        "currency_code": "EUR", "collection_mode": "automatic",
        "billing_cycle": { "interval": "month", "frequency": 1 },
        "current_billing_period": period, "scheduled_change": scheduled(it), "items": items,
        "next_billed_at": next, "first_billed_at": text(it.started_at),
        "started_at": text(it.started_at),
        "paused_at": it.paused_at.filter(|_| it.phase == Phase::Paused).map(|at| at.to_string()),
        "canceled_at": it.ended_at.map(|at| at.to_string()),
        "discount": null, "custom_data": null, "import_meta": null,
        "created_at": text(it.started_at), "updated_at": text(it.period.0),
    })
}

fn scheduled(it: &Subscription) -> Option<Value> {
    let (action, at) = match (it.cancel_at, it.pause_at) {
        (Some(at), _) => ("cancel", at),
        (None, Some(at)) => ("pause", at),
        (None, None) => return None,
    };
    Some(json!({ "action": action, "effective_at": text(at), "resume_at": null }))
}

fn item_of(it: &Subscription, item: &Item, next: Option<&str>) -> Value {
    let status = match it.phase {
        Phase::Trialing => "trialing",
        Phase::Paused | Phase::Canceled => "inactive",
        _ => "active",
    };
    json!({
        "status": status, "quantity": item.quantity, "recurring": true,
        "price": price(item.price), "trial_dates": null, "next_billed_at": next,
        "created_at": text(it.started_at), "updated_at": text(it.period.0),
    })
}

fn price(price: &Price) -> Value {
    json!({
        "id": price.id, "name": price.name, "type": "standard", "status": "active",
        "product_id": price.product,
        "unit_price": { "amount": price.amount.to_string(), "currency_code": "EUR" },
        "billing_cycle": { "interval": "month", "frequency": 1 }, "trial_period": null,
        "tax_mode": "account_setting", "custom_data": null, "description": price.name,
    })
}

/// <https://developer.paddle.com/webhooks/transactions/transaction-completed>
pub(in crate::simulate) fn transaction(
    account: &Account,
    it: &Subscription,
    id: &str,
    status: &str,
    origin: &str,
    at: Timestamp,
) -> Value {
    let items = it.items.iter().map(
        |item| json!({ "price": price(item.price), "quantity": item.quantity, "proration": null }),
    );
    let total: i64 = it
        .items
        .iter()
        .map(|item| item.price.amount * item.quantity)
        .sum();
    json!({
        "id": id, "status": status, "origin": origin, "customer_id": account.id,
        "address_id": account.id.replacen("ctm", "add", 1), "business_id": null,
        "subscription_id": it.id, "invoice_id": null, "invoice_number": null,
        "collection_mode": "automatic", "currency_code": "EUR",
        "items": items.collect::<Vec<_>>(),
        "details": { "totals": { "total": total.to_string(), "currency_code": "EUR" } },
        "payments": [], "custom_data": null, "created_at": at.to_string(),
        "updated_at": at.to_string(),
    })
}

/// The fields in which adjustments differ.
pub(in crate::simulate) struct Adjustment<'a> {
    pub(in crate::simulate) id: &'a str,
    pub(in crate::simulate) action: &'a str,
    pub(in crate::simulate) status: &'a str,
    /// In cents.
    pub(in crate::simulate) part: i64,
}

/// <https://developer.paddle.com/webhooks/adjustments/adjustment-created>
pub(in crate::simulate) fn adjustment(
    account: &Account,
    it: &Subscription,
    payment: &Payment,
    adjustment: &Adjustment<'_>,
    at: Timestamp,
) -> Value {
    let kind = if adjustment.part == payment.amount {
        "full"
    } else {
        "partial"
    };
    let item = json!({
        "id": adjustment.id.replacen("adj", "adjitm", 1), "type": kind,
        "amount": adjustment.part.to_string(),
        "item_id": payment.id.replacen("txn", "txnitm", 1), "proration": null,
    });
    json!({
        "id": adjustment.id, "action": adjustment.action, "type": kind,
        "status": adjustment.status, "transaction_id": payment.id, "subscription_id": it.id,
        "customer_id": account.id, "reason": "asked for", "currency_code": "EUR",
        "items": [item], "totals": { "total": adjustment.part.to_string() },
        "credit_applied_to_balance": null, "created_at": at.to_string(),
        "updated_at": at.to_string(),
    })
}

fn text(at: i64) -> String {
    seconds(at).to_string()
}
