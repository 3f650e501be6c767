//! Guests: buyers of payment links, of whom Stripe makes no customer.

use serde_json::{Value, json};

use super::rig::{NOW, ROOT, Rig};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::stripe_event;

/// A paid Checkout session of a payment link.
fn session(name: &str, link: &str) -> Value {
    json!({
        "id": format!("cs_{name}"), "object": "checkout.session", "mode": "payment",
        "amount_total": 4_900, "client_reference_id": null, "customer": null,
        "customer_details": {"email": format!("{name}@example.com"), "name": "Guest"},
        "invoice": null, "metadata": {}, "payment_intent": format!("pi_{name}"),
        "payment_link": link, "payment_status": "paid", "subscription": null,
    })
}

async fn buys(rig: &Rig, session: Value) {
    let id = session["id"].as_str().unwrap().replace("cs_", "evt_");
    let event = stripe_event(&id, "checkout.session.completed", NOW - 100, session);
    rig.happens(&event).await;
}

async fn packages(rig: &Rig, customer: &Value) -> Vec<Value> {
    let path = format!("/customers/{}/packages", customer["id"].as_str().unwrap());
    let listed = rig.get(&path).await.expect(200);
    let listed = listed["data"].as_array().unwrap().iter();
    listed.map(|it| it["package"].clone()).collect()
}

async fn licenses(rig: &Rig, customer: &Value) -> usize {
    let path = format!("/licenses?customer_id={}", customer["id"].as_str().unwrap());
    let listed = rig.get(&path).await.expect(200);
    listed["data"].as_array().unwrap().len()
}

async fn by_email(rig: &Rig, name: &str) -> Value {
    let path = format!("/customers/by-email?email={name}@example.com");
    rig.get(&path).await.expect(200)
}

async fn sells(engine: Engine) -> Rig {
    let rig = Rig::start(engine).await;
    let plan = json!({"packages": [{"package": "acme/book", "constraint": "*"}]});
    rig.put("/plans/stripe/plink_book", plan).await.expect(201);
    rig
}

on_both_stores! {
    a_guest_has_what_was_bought_until_it_is_given_back,
    a_guest_with_the_sellers_id_is_who_has_it,
    a_guest_of_a_link_without_a_plan_is_flagged,
    an_authorized_payment_buys_when_it_is_captured,
}

async fn a_guest_has_what_was_bought_until_it_is_given_back(engine: Engine) {
    let rig = sells(engine).await;
    buys(&rig, session("one", "plink_book")).await;
    let guest = by_email(&rig, "one").await;
    assert_eq!(guest["status"], "active");
    assert_eq!(packages(&rig, &guest).await, ["acme/book"]);
    let charge = json!({"id": "ch_1", "object": "charge", "amount": 4_900, "amount_refunded": 4_900,
        "customer": null, "payment_intent": "pi_one", "refunded": true});
    rig.happens(&stripe_event(
        "evt_back",
        "charge.refunded",
        NOW - 50,
        charge,
    ))
    .await;
    let guest = by_email(&rig, "one").await;
    assert_eq!(guest["status"], "expired");
    assert_eq!(packages(&rig, &guest).await, [Value::Null; 0]);
}

async fn a_guest_with_the_sellers_id_is_who_has_it(engine: Engine) {
    let rig = sells(engine).await;
    let identity = json!({"identity": {"metadata_key": "user_id"}});
    rig.as_admin(ROOT, "PATCH", "/apps/default", Some(identity))
        .await
        .expect(200);
    let known = json!({"name": "Known", "external_id": "shop-7"});
    let known = rig.post("/customers", known).await.expect(201);
    let mut bought = session("two", "plink_book");
    bought["metadata"] = json!({"user_id": "shop-7"});
    buys(&rig, bought).await;
    assert_eq!(packages(&rig, &known).await, ["acme/book"]);
}

async fn a_guest_of_a_link_without_a_plan_is_flagged(engine: Engine) {
    let rig = sells(engine).await;
    buys(&rig, session("three", "plink_other")).await;
    let guest = by_email(&rig, "three").await;
    assert_eq!(guest["flags"][0]["kind"], "unmapped_price", "{guest}");
    assert_eq!(guest["flags"][0]["subject"], "cs_three", "{guest}");
    assert_eq!(packages(&rig, &guest).await, [Value::Null; 0]);
}

/// A checkout with `capture_method: manual` completes unpaid, and of the session nothing more is told.
async fn an_authorized_payment_buys_when_it_is_captured(engine: Engine) {
    let rig = sells(engine).await;
    let plan = json!({"packages": [{"package": "acme/book", "constraint": "*"}],
        "licenses": [{"product": "book"}]});
    rig.put("/plans/stripe/plink_book", plan).await.expect(200);
    let held = |name: &str| {
        let mut session = session(name, "plink_book");
        session["payment_status"] = json!("unpaid");
        session
    };
    let taken = |name: &str| {
        let intent = json!({"id": format!("pi_{name}"), "object": "payment_intent", "amount": 4_900,
            "amount_received": 4_900, "capture_method": "manual", "customer": null,
            "latest_charge": format!("ch_{name}"), "status": "succeeded"});
        stripe_event(
            &format!("evt_pi_{name}"),
            "payment_intent.succeeded",
            NOW - 50,
            intent,
        )
    };
    buys(&rig, held("four")).await;
    let guest = by_email(&rig, "four").await;
    assert_eq!(packages(&rig, &guest).await, [Value::Null; 0]);
    rig.happens(&taken("four")).await;
    assert_eq!(packages(&rig, &guest).await, ["acme/book"]);
    assert_eq!(licenses(&rig, &guest).await, 1);

    // The other way round, and where the method of payment alone says so.
    let mut by_method = taken("five");
    by_method["data"]["object"]["capture_method"] = json!("automatic_async");
    by_method["data"]["object"]["payment_method_options"] =
        json!({"card": {"capture_method": "manual"}, "klarna": {}});
    rig.happens(&by_method).await;
    buys(&rig, held("five")).await;
    let guest = by_email(&rig, "five").await;
    assert_eq!(packages(&rig, &guest).await, ["acme/book"]);
    assert_eq!(licenses(&rig, &guest).await, 1);

    // A payment for something that is unknown here makes no customer.
    let mut other = taken("six");
    other["data"]["object"]["customer"] = json!("cus_six");
    rig.happens(&other).await;
    let listed = rig.get("/customers").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "{listed}");
}
