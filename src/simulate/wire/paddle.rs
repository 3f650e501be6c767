//! Paddle Billing's entities. <https://developer.paddle.com/webhooks/overview>

use serde_json::{Value, json};

use crate::domain::time::Timestamp;
use crate::simulate::life::seconds;
use crate::simulate::person::{Account, Bill, Item, Line, Phase, Subscription};
use crate::simulate::shop::{self, Price};

/// <https://developer.paddle.com/webhooks/customers/customer-updated>
pub(in crate::simulate) fn customer(account: &Account) -> Value {
    json!({
        "id": account.id, "name": account.name, "email": account.email, "locale": "en",
        "status": "active", "custom_data": custom_data(account), "marketing_consent": false,
        "import_meta": import_meta(account),
    })
}

/// What the shop writes into each object. Of what was imported the id is elsewhere.
fn custom_data(account: &Account) -> Option<Value> {
    let id = account.seller_id.as_ref().filter(|_| !account.is_imported);
    id.map(|id| json!({ shop::SELLER_ID_KEY: id, "campaign": "spring" }))
}

fn import_meta(account: &Account) -> Option<Value> {
    let id = account.seller_id.as_ref();
    let id = id.filter(|_| account.is_imported);
    id.map(|id| json!({ "external_id": id, "imported_from": "paddle_classic" }))
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
        "paused_at": it.paused_at.filter(|_| it.phase == Phase::Paused).map(Timestamp::exact),
        "canceled_at": it.ended_at.map(Timestamp::exact),
        "discount": null, "custom_data": custom_data(account), "import_meta": null,
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

/// How a transaction stands, besides what it is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulate) struct Standing {
    pub(in crate::simulate) status: &'static str,
    pub(in crate::simulate) names_customer: bool,
    pub(in crate::simulate) names_subscription: bool,
    pub(in crate::simulate) at: Timestamp,
}

/// <https://developer.paddle.com/webhooks/transactions/transaction-completed>
pub(in crate::simulate) fn transaction(
    account: &Account,
    subscription: Option<&Subscription>,
    bill: &Bill,
    standing: Standing,
) -> Value {
    let items = bill.lines.iter().map(|line| {
        json!({
            "price": price_of(line), "quantity": line.quantity, "proration": proration(line),
        })
    });
    let details = bill.lines.iter().map(|line| {
        json!({
            "id": line.id, "price_id": line.price.id, "quantity": line.quantity,
            "proration": proration(line), "product": { "id": line.price.product },
            "totals": totals(line.amount),
            "unit_totals": totals(line.amount / line.quantity.max(1)),
        })
    });
    // Until it is billed the period is not known.
    let known = !matches!(standing.status, "draft" | "ready" | "paid");
    let mut periods = bill.lines.iter().filter(|line| !line.is_proration);
    let period = periods.find_map(|line| line.period).filter(|_| known);
    let mut sum = totals(bill.cost());
    sum["grand_total"] = json!(bill.money.to_string());
    sum["credit"] = json!("0");
    sum["currency_code"] = json!("EUR");
    let subscription = subscription.filter(|_| standing.names_subscription);
    let customer = standing.names_customer.then_some(&account.id);
    json!({
        "id": bill.id, "status": standing.status, "origin": bill.reason, "customer_id": customer,
        "address_id": account.id.replacen("ctm", "add", 1), "business_id": null,
        "subscription_id": subscription.map(|it| &it.id),
        "invoice_id": null, "invoice_number": null, "billed_at": null,
        "billing_period": period.map(period_of),
        "collection_mode": "automatic", "currency_code": "EUR",
        "items": items.collect::<Vec<_>>(),
        "details": { "totals": sum, "line_items": details.collect::<Vec<_>>() },
        "payments": [], "custom_data": null, "created_at": text(bill.made_at),
        "updated_at": standing.at.exact(),
    })
}

fn totals(amount: i64) -> Value {
    let amount = amount.to_string();
    json!({ "subtotal": amount, "discount": "0", "tax": "0", "total": amount })
}

fn period_of((start, end): (i64, i64)) -> Value {
    json!({ "starts_at": text(start), "ends_at": text(end) })
}

fn proration(line: &Line) -> Option<Value> {
    let period = line.period.filter(|_| line.is_proration)?;
    Some(json!({ "rate": "0.5", "billing_period": period_of(period) }))
}

fn price_of(line: &Line) -> Value {
    let mut price = price(line.price);
    if line.period.is_none() {
        price["billing_cycle"] = Value::Null;
    }
    price
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
    subscription: Option<&Subscription>,
    bill: &Bill,
    adjustment: &Adjustment<'_>,
    at: Timestamp,
) -> Value {
    let kind = if adjustment.part == bill.money {
        "full"
    } else {
        "partial"
    };
    let item = json!({
        "id": adjustment.id.replacen("adj", "adjitm", 1), "type": kind,
        "amount": adjustment.part.to_string(),
        "item_id": bill.id.replacen("txn", "txnitm", 1), "proration": null,
    });
    json!({
        "id": adjustment.id, "action": adjustment.action, "type": kind,
        "status": adjustment.status, "transaction_id": bill.id,
        "subscription_id": subscription.map(|it| &it.id),
        "customer_id": account.id, "reason": "asked for", "currency_code": "EUR",
        "items": [item], "totals": { "total": adjustment.part.to_string() },
        "credit_applied_to_balance": null, "created_at": at.exact(),
        "updated_at": at.exact(),
    })
}

fn text(at: i64) -> String {
    seconds(at).to_string()
}
