//! Apps that are paused: nothing of them is applied, nothing is lost, and others are served as ever.

use serde_json::{Value, json};
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::pauses;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::pipeline::timers::run_due;
use tollgate::provider::STRIPE;
use tollgate::store::Actor;

use crate::process::message;
use crate::support::rabbitmq::{prefix, shared};
use crate::support::stores::{Engine, TestStore, on_both_stores};
use crate::support::{
    TestServer, post_signed, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};

on_both_stores! {
    what_comes_while_an_app_is_paused_waits_and_is_applied_later,
    a_pause_survives_a_restart,
    due_times_of_a_paused_app_wait,
}

fn sign_up(number: u32) -> Value {
    let customer = stripe_customer(&format!("cus_{number}"), &format!("c{number}@example.com"));
    let id = format!("evt_{number}");
    stripe_event(&id, "customer.created", seconds_from_now(-100), customer)
}

fn waits(event: &Value) -> bool {
    event["outcome"] == "pending" && event["error"]["code"] == "app_paused"
}

async fn paused(server: &TestServer) {
    let reason = json!({"reason": "a migration"});
    let path = "/api/v1/apps/default/pause";
    let (status, app) = server.call("POST", path, Some(reason)).await;
    assert_eq!(status, 200, "{app}");
    assert_eq!(app["changed"], true, "{app}");
    assert_eq!(app["paused"]["reason"], "a migration", "{app}");
    let (_, again) = server.call("POST", path, None).await;
    assert_eq!(again["changed"], false, "{again}");
    assert_eq!(again["paused"]["reason"], "a migration", "{again}");
}

async fn resumed(server: &TestServer) {
    let path = "/api/v1/apps/default/resume";
    let (status, app) = server.call("POST", path, None).await;
    assert_eq!(status, 200, "{app}");
    assert_eq!(
        (&app["changed"], &app["paused"]),
        (&json!(true), &Value::Null)
    );
    let (_, again) = server.call("POST", path, None).await;
    assert_eq!(again["changed"], false, "{again}");
}

async fn metrics(server: &TestServer) -> String {
    let asked = server.client.get(format!("{}/metrics", server.base));
    let asked = asked.bearer_auth(crate::support::ADMIN_TOKEN);
    asked.send().await.unwrap().text().await.unwrap()
}

/// A second app with an endpoint of its own.
async fn other_app(server: &TestServer) {
    let body = json!({"slug": "other", "name": "Other"});
    assert_eq!(server.call("POST", "/api/v1/apps", Some(body)).await.0, 201);
    let body = json!({"secret": secrecy::ExposeSecret::expose_secret(&crate::support::secret(STRIPE.name))});
    let path = "/api/v1/apps/other/endpoints/stripe/secrets";
    let (status, answer) = server.call("POST", path, Some(body)).await;
    assert_eq!(status, 201, "{answer}");
}

/// What a paused app's events do to others, to the figures and to themselves.
async fn pauses_and_goes_on(server: &TestServer) {
    other_app(server).await;
    assert_eq!(
        server.deliver(STRIPE.name, &sign_up(0)).await["outcome"],
        "applied"
    );
    paused(server).await;
    for number in 1..=3 {
        let (status, answer) = server.post(STRIPE.name, &sign_up(number)).await;
        assert_eq!(status, 200, "{answer}");
    }
    for number in 1..=3 {
        let path = format!("/api/v1/events/evt_{number}");
        let event = server.until(&path, waits).await;
        assert_eq!(event["attempts"], 0, "waiting is no try: {event}");
    }
    // Others are served meanwhile.
    let url = format!("{}/webhooks/other/stripe", server.base);
    let body = sign_up(9).to_string().into_bytes();
    let (status, answer) = post_signed(&server.client, &url, STRIPE.name, body).await;
    assert_eq!(status, 200, "{answer}");
    let applied = |event: &Value| event["outcome"] == "applied";
    server
        .until("/api/v1/events/evt_9?app=other", applied)
        .await;

    let (status, ready) = server.get("/readyz").await;
    assert_eq!((status, &ready["paused_apps"]), (200, &json!(1)), "{ready}");
    let (_, figures) = server.get("/api/v1/stats?app=default").await;
    assert_eq!(figures["paused"][0]["waiting"], 3, "{figures}");
    let (_, figures) = server.get("/api/v1/stats?app=other").await;
    assert_eq!(figures["paused"], json!([]), "{figures}");
    let figures = metrics(server).await;
    assert!(figures.contains("tollgate_apps_paused 1"), "{figures}");
    assert!(figures.contains("tollgate_paused_messages 3"), "{figures}");
    let (_, customers) = server.get("/api/v1/customers").await;
    assert_eq!(customers["meta"]["total"], 1, "{customers}");

    resumed(server).await;
    for number in 1..=3 {
        let event = server.outcome(&format!("evt_{number}")).await;
        assert_eq!(event["outcome"], "applied", "{event}");
        assert_eq!(
            (&event["attempts"], &event["duplicates"]),
            (&json!(1), &json!(0)),
            "{event}"
        );
    }
    let (_, audit) = server.get("/api/v1/audit?operation=app_pause").await;
    assert_eq!(
        audit["data"][0]["details"]["reason"], "a migration",
        "{audit}"
    );
    let (_, audit) = server.get("/api/v1/audit?operation=app_resume").await;
    assert_eq!(audit["meta"]["total"], 1, "{audit}");
    let (_, ready) = server.get("/readyz").await;
    assert_eq!(ready["paused_apps"], Value::Null, "{ready}");
}

async fn what_comes_while_an_app_is_paused_waits_and_is_applied_later(engine: Engine) {
    let server = TestServer::start(engine).await;
    pauses_and_goes_on(&server).await;
    server.stop_and_give_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_delivers_to_a_paused_app_waits_in_the_store() {
    let prefix = prefix();
    let server = TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), shared().url().into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix.into());
    })
    .await;
    pauses_and_goes_on(&server).await;
    // Nothing is left at the broker, neither to be tried again nor given up.
    let (_, stats) = server.get("/api/v1/stats").await;
    assert_eq!(stats["queue"]["failed"], 0, "{stats}");
    server.stop().await;
}

async fn a_pause_survives_a_restart(engine: Engine) {
    let server = TestServer::start(engine).await;
    paused(&server).await;
    server.post(STRIPE.name, &sign_up(1)).await;
    server.until("/api/v1/events/evt_1", waits).await;
    let (place, environment) = server.stop_and_keep().await;
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start_over(environment, place, dir).await;
    server.post(STRIPE.name, &sign_up(2)).await;
    server.until("/api/v1/events/evt_2", waits).await;
    resumed(&server).await;
    for id in ["evt_1", "evt_2"] {
        assert_eq!(server.outcome(id).await["outcome"], "applied");
    }
    server.stop_and_give_back().await;
}

async fn due_times_of_a_paused_app_wait(engine: Engine) {
    const NOW: i64 = 1_790_000_000;
    let at = |second| Timestamp::from_seconds(NOW + second).unwrap();
    let test = TestStore::new(engine, at(0)).await;
    let mut object = stripe_subscription("sub_1", "cus_1", "active");
    object["cancel_at"] = json!(NOW + 50);
    let event = stripe_event("evt_1", "customer.subscription.updated", NOW, object);
    process(&test.store, &[&message(&event, "1")], at(1))
        .await
        .unwrap();
    let order = |second| Order {
        app: AppSlug::default_app(),
        actor: Actor::Operator,
        now: at(second),
        reason: None,
    };
    assert!(pauses::pause(&test.store, &order(2)).await.unwrap());
    assert_eq!(run_due(&test.store, at(60)).await.unwrap(), 0);
    let other = stripe_customer("cus_2", "two@example.com");
    let other = stripe_event("evt_2", "customer.created", NOW, other);
    let held = process(&test.store, &[&message(&other, "2")], at(61)).await;
    assert_eq!(held.unwrap(), [Disposition::Paused]);
    assert!(pauses::resume(&test.store, &order(70)).await.unwrap());
    assert_eq!(run_due(&test.store, at(71)).await.unwrap(), 1);
    test.place.give_back();
}
