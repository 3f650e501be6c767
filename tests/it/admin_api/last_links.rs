//! The event that names an invoice together with what paid it, before or after all others.

use serde_json::{Value, json};

use super::rig::{NOW, Rig};
use crate::convergence::orders::orders;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

/// A paid invoice of a subscription of our own, a lost dispute about what paid it, and the event that
/// says that it did. Nothing but that leads from the one to the other.
fn events(n: usize) -> [Value; 4] {
    let account = format!("cus_{n}");
    let mut subscription = stripe_subscription(&format!("sub_{n}"), &account, "active");
    subscription["current_period_end"] = (NOW + 10_000).into();
    let line = json!({
        "id": format!("il_{n}"), "object": "line_item", "amount": 2_900, "quantity": 1,
        "period": {"start": NOW - 90, "end": NOW + 10_000},
        "pricing": {"type": "price_details", "price_details": {"price": "price_1", "product": "prod_1"}},
    });
    let invoice = json!({
        "id": format!("in_{n}"), "object": "invoice", "customer": account, "amount_due": 2_900,
        "amount_paid": 2_900, "total": 2_900, "billing_reason": "subscription_create", "status": "paid",
        "parent": {"type": "subscription_details",
            "subscription_details": {"subscription": format!("sub_{n}")}},
        "lines": {"object": "list", "data": [line], "has_more": false},
    });
    let dispute = json!({
        "id": format!("dp_{n}"), "object": "dispute", "charge": format!("ch_{n}"),
        "payment_intent": format!("pi_{n}"), "status": "lost",
    });
    let joined = json!({
        "id": format!("inpay_{n}"), "object": "invoice_payment", "invoice": format!("in_{n}"),
        "status": "paid", "amount_paid": 2_900,
        "payment": {"type": "payment_intent", "payment_intent": format!("pi_{n}")},
    });
    let event = |step: i64, event_type: &str, object: Value| {
        let id = format!("evt_{n}_{step}");
        stripe_event(&id, event_type, NOW - 90 + step, object)
    };
    [
        event(0, "customer.subscription.created", subscription),
        event(1, "invoice.paid", invoice),
        event(2, "charge.dispute.closed", dispute),
        event(3, "invoice_payment.paid", joined),
    ]
}

async fn a_lost_dispute_is_about_an_invoice_whatever_comes_last(engine: Engine) {
    let rig = Rig::start(engine).await;
    let plan = json!({"packages": ["acme/tool"]});
    rig.put("/plans/stripe/price_basic", plan).await.expect(201);
    for (n, order) in orders(4, 1).iter().enumerate() {
        let events = events(n);
        for place in order {
            rig.happens(&events[*place]).await;
        }
        let path = format!("/customers/by-external/stripe_cus_{n}");
        let shown = rig.get(&path).await.expect(200);
        assert_eq!(shown["status"], "suspended", "{order:?}: {shown}");
        assert_eq!(shown["holds"], json!(["dispute"]), "{order:?}: {shown}");
    }
}

on_both_stores! {
    a_lost_dispute_is_about_an_invoice_whatever_comes_last,
}
