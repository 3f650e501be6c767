//! Licences of two documents that turn out to be one payment.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::stripe_event;

/// A paid Checkout session of a payment link, whose invoice is not there yet.
fn session() -> Value {
    json!({
        "id": "cs_1", "object": "checkout.session", "mode": "payment", "customer": "cus_1",
        "amount_total": 4_900, "customer_details": {"email": "one@example.com"}, "invoice": null,
        "metadata": {}, "payment_intent": "pi_1", "payment_link": "plink_1",
        "payment_status": "paid", "subscription": null,
    })
}

/// The invoice of the same payment.
fn invoice() -> Value {
    let line = json!({
        "id": "il_1", "object": "line_item", "amount": 4_900, "quantity": 1,
        "period": {"start": NOW - 90, "end": NOW - 90},
        "parent": {"type": "invoice_item_details",
            "invoice_item_details": {"invoice_item": "ii_1", "proration": false, "subscription": null}},
        "pricing": {"type": "price_details", "price_details": {"price": "price_1", "product": "prod_1"}},
    });
    json!({
        "id": "in_1", "object": "invoice", "customer": "cus_1", "amount_due": 4_900, "amount_paid": 4_900,
        "billing_reason": "manual", "status": "paid", "total": 4_900, "parent": null,
        "lines": {"object": "list", "data": [line], "has_more": false},
    })
}

/// What says that both are one.
fn link() -> Value {
    json!({
        "id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "status": "paid",
        "amount_paid": 4_900, "payment": {"type": "payment_intent", "payment_intent": "pi_1"},
    })
}

async fn happens(rig: &Rig, number: i64, event_type: &str, object: Value) {
    let id = format!("evt_{number}");
    rig.happens(&stripe_event(&id, event_type, NOW - 100 + number, object))
        .await;
}

async fn listed(rig: &Rig) -> Vec<Value> {
    let list = rig.get("/licenses").await.expect(200);
    list["data"].as_array().unwrap().clone()
}

async fn activate(rig: &Rig, license: &Value, fingerprint: &str) {
    let body = json!({"key": license["key"], "fingerprint": fingerprint});
    rig.post("/licenses/activate", body).await.expect(201);
}

async fn the_older_key_stays_with_the_places_of_both(engine: Engine) {
    let rig = Rig::start(engine).await;
    let plan = json!({"packages": [], "licenses": [{"product": "tool", "activations_limit": 2}]});
    for price in ["plink_1", "price_1"] {
        let path = format!("/plans/stripe/{price}");
        rig.put(&path, plan.clone()).await.expect(201);
    }
    happens(&rig, 1, "checkout.session.completed", session()).await;
    let [sold] = listed(&rig).await.try_into().unwrap();
    activate(&rig, &sold, "one").await;
    rig.pass(1);
    happens(&rig, 2, "invoice.paid", invoice()).await;
    let [other, _] = listed(&rig).await.try_into().unwrap();
    assert_ne!(other["id"], sold["id"]);
    for fingerprint in ["one", "two"] {
        activate(&rig, &other, fingerprint).await;
    }
    let revoke = format!("/licenses/{}/revoke", id_of(&other));
    let because = json!({"reason": "shared"});
    rig.post(&revoke, because).await.expect(200);

    happens(&rig, 3, "invoice_payment.paid", link()).await;
    let [kept] = listed(&rig).await.try_into().unwrap();
    assert_eq!((&kept["id"], &kept["key"]), (&sold["id"], &sold["key"]));
    assert_eq!(kept["source"]["id"], "in_1");
    assert_eq!(kept["status"], "revoked", "an admin's word stays: {kept}");
    let places = format!("/licenses/{}/activations", id_of(&kept));
    let places = rig.get(&places).await.expect(200);
    let mut places: Vec<&str> = (places["data"].as_array().unwrap().iter())
        .map(|it| it["fingerprint"].as_str().unwrap())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["one", "two"]);
    let audit = rig.get("/audit?operation=license_delete").await.expect(200);
    let [removed] = <[Value; 1]>::try_from(audit["data"].as_array().unwrap().clone()).unwrap();
    assert_eq!(removed["details"]["id"], other["id"]);
    assert_eq!(removed["details"]["merged_into"], sold["id"]);
}

on_both_stores! {
    the_older_key_stays_with_the_places_of_both,
}
