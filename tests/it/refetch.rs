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
    a_key_that_left_the_settings_is_forgotten,
);
