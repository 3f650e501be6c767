//! A server with an API key in its settings asks the provider by itself.

use serde_json::{Value, json};
use tollgate::provider::STRIPE;

use crate::support::answers::Answers;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{
    TestServer, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};

const KEY: &str = "rk_live_TESTONLY0123456789abcdef";

async fn a_worker_asks_about_what_is_unclear_and_applies_the_answer(engine: Engine) {
    let now = seconds_from_now(0);
    let provider = Answers::serve(now + 60).await;
    provider.lay(
        "/v1/subscriptions/sub_1",
        stripe_subscription("sub_1", "cus_1", "active"),
    );
    let base = format!("http://{}", provider.address);
    let server = TestServer::start_with(engine, |environment| {
        environment.insert("STRIPE_API_KEY".into(), KEY.into());
        environment.insert("TOLLGATE_STRIPE_API_BASE".into(), base.into());
    })
    .await;
    let created = |id: &str, kind: &str, object: Value| stripe_event(id, kind, now - 50, object);
    let contact = stripe_customer("cus_1", "a@example.com");
    let events = [
        created("evt_1", "customer.created", contact),
        created(
            "evt_2",
            "customer.subscription.updated",
            stripe_subscription("sub_1", "cus_1", "active"),
        ),
        created(
            "evt_3",
            "customer.subscription.updated",
            stripe_subscription("sub_1", "cus_1", "unpaid"),
        ),
    ];
    for event in &events {
        server.deliver(STRIPE.name, event).await;
    }
    let path = "/api/v1/customers/by-external/cus_1";
    let (_, customer) = server.get(path).await;
    assert_eq!(customer["status"], "suspended");
    let explain = format!(
        "/api/v1/customers/{}/explain",
        customer["id"].as_str().unwrap()
    );
    let (_, explained) = server.get(&explain).await;
    let summary = explained["summary"].to_string();
    assert!(
        summary.contains("Waiting for Stripe's word about `sub_1` since "),
        "{summary}"
    );
    server.until(path, |it| it["status"] == "active").await;
    let (_, waiting) = server.get("/api/v1/refetches").await;
    assert_eq!(waiting["data"], json!([]));
    let key = "/api/v1/apps/default/endpoints/stripe/api-key";
    let (status, refused) = server.call("PUT", key, Some(json!({"key": KEY}))).await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("setting_read_only"))
    );
    server.stop_and_give_back().await;
}

fn summary(count: usize, has_more: bool) -> Value {
    let data: Vec<Value> = (1..=count).map(entitlement).collect();
    json!({"object": "entitlements.active_entitlement_summary", "customer": "cus_1",
        "livemode": true, "entitlements": {"object": "list", "data": data, "has_more": has_more,
        "url": "/v1/customer/cus_1/entitlements"}})
}

fn entitlement(n: usize) -> Value {
    json!({"id": format!("ent_{n}"), "object": "entitlements.active_entitlement",
        "feature": format!("feat_{n}"), "livemode": true, "lookup_key": format!("module-{n}")})
}

async fn more_than_ten_features_are_asked_for_page_by_page(engine: Engine) {
    let now = seconds_from_now(0);
    let provider = Answers::serve(now + 60).await;
    let page = |from: usize, to: usize, has_more: bool| {
        let data: Vec<Value> = (from..=to).map(entitlement).collect();
        json!({"object": "list", "data": data, "has_more": has_more,
            "url": "/v1/entitlements/active_entitlements"})
    };
    let path = "/v1/entitlements/active_entitlements?customer=cus_1&limit=100";
    provider.lay(path, page(1, 100, true));
    let next = format!("{path}&starting_after=ent_100");
    provider.lay(&next, page(101, 103, false));
    let base = format!("http://{}", provider.address);
    let server = TestServer::start_with(engine, |environment| {
        environment.insert("STRIPE_API_KEY".into(), KEY.into());
        environment.insert("TOLLGATE_STRIPE_API_BASE".into(), base.into());
        let plans = r#"{"module-1": ["acme/one"], "feat_103": ["acme/last"]}"#;
        environment.insert("STRIPE_PRICE_MAPPING".into(), plans.into());
    })
    .await;
    let events = [
        stripe_event(
            "evt_1",
            "customer.subscription.created",
            now - 50,
            stripe_subscription("sub_1", "cus_1", "active"),
        ),
        stripe_event(
            "evt_2",
            "entitlements.active_entitlement_summary.updated",
            now - 49,
            summary(10, true),
        ),
    ];
    for event in &events {
        server.deliver(STRIPE.name, event).await;
    }
    let (_, customer) = server.get("/api/v1/customers/by-external/cus_1").await;
    let id = customer["id"].as_str().unwrap();
    let packages = format!("/api/v1/customers/{id}/packages");
    let named = |list: &Value| -> Vec<String> {
        let packages = list["data"].as_array().unwrap().iter();
        packages
            .map(|it| it["package"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, given) = server.get(&packages).await;
    assert_eq!(named(&given), ["acme/one"], "what is listed holds");
    let (_, waiting) = server.get("/api/v1/refetches").await;
    assert_eq!(waiting["data"][0]["reason"], "items_incomplete");
    assert_eq!(waiting["data"][0]["object"], "cus_1", "{waiting}");
    server.until(&packages, |it| named(it).len() == 2).await;
    assert!(provider.asked().contains(&next), "{:?}", provider.asked());
    let (_, customer) = server.get("/api/v1/customers/by-external/cus_1").await;
    assert_eq!(customer["flags"], json!([]), "{customer}");
    let (_, explained) = server.get(&format!("/api/v1/customers/{id}/explain")).await;
    let account = &explained["accounts"][0];
    assert_eq!(account["features"].as_array().unwrap().len(), 100);
    assert_eq!(account["features_truncated"], true);
    assert_eq!(
        account["features"][0],
        json!({"id": "feat_1", "lookup_key": "module-1", "plan": "module-1"})
    );
    let summary = explained["summary"].to_string();
    assert!(
        summary.contains("Its subscriptions include the features module-1"),
        "{summary}"
    );
    server.stop_and_give_back().await;
}

async fn a_key_that_left_the_settings_is_forgotten(engine: Engine) {
    let server = TestServer::start_with(engine, |environment| {
        environment.insert("STRIPE_API_KEY".into(), KEY.into());
    })
    .await;
    let key = "/api/v1/apps/default/endpoints/stripe/api-key";
    let (place, mut environment) = server.stop_and_keep().await;
    environment.remove(std::ffi::OsStr::new("STRIPE_API_KEY"));
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start_over(environment, place, dir).await;
    let (status, _) = server.call("DELETE", key, None).await;
    assert_eq!(status, 404);
    let (status, _) = server.call("PUT", key, Some(json!({"key": KEY}))).await;
    assert_eq!(status, 200);
    server.stop_and_give_back().await;
}

on_both_stores!(
    a_worker_asks_about_what_is_unclear_and_applies_the_answer,
    more_than_ten_features_are_asked_for_page_by_page,
    a_key_that_left_the_settings_is_forgotten,
);
