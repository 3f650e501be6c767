//! Live and test mode: an endpoint of any mode is live from its first live event on.

use serde_json::{Value, json};
use tollgate::domain::id::Provider;
use tollgate::domain::mode::Mode;
use tollgate::pipeline::process::process;
use tollgate::provider::{PADDLE, STRIPE};
use tollgate::queue::Message;
use tollgate::queue::message::{Headers, HeadersV1};

use super::rig::{NOW, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, stripe_event, stripe_subscription};

/// A subscription event; `n` names its account.
fn subscribed(n: u8, livemode: bool, created: i64) -> Value {
    let object = stripe_subscription(&format!("sub_{n}"), &format!("cus_{n}"), "active");
    let id = format!("evt_{n}_{created}");
    let mut event = stripe_event(&id, "customer.subscription.created", created, object);
    event["livemode"] = json!(livemode);
    event
}

/// A subscription of Paddle's, real or simulated.
fn paddle(event: &str, status: &str, occurred_at: &str) -> Value {
    json!({
        "event_id": event, "event_type": "subscription.updated", "occurred_at": occurred_at,
        "notification_id": event.replace("evt", "ntf"),
        "data": {"id": "sub_01h", "status": status, "customer_id": "ctm_01h", "items": [
            {"price": {"id": "pri_1", "product_id": "pro_1"}, "quantity": 1}]},
    })
}

impl Rig {
    /// Lets the worker process an event that a secret of a mode has verified.
    async fn comes(&self, provider: Provider, mode: Mode, event: &Value) {
        let named = ["id", "event_id"].iter().find_map(|it| event[*it].as_str());
        let types = ["type", "event_type"].iter();
        let event_type = types.clone().find_map(|it| event[*it].as_str());
        let headers = HeadersV1 {
            app: "default".parse().unwrap(),
            provider,
            event_id: named.unwrap().to_owned(),
            event_type: event_type.unwrap().to_owned(),
            received_at: self.now(),
            mode,
            receipt: format!("{mode} {event}"),
            attempt: 0,
            origin: tollgate::queue::Origin::default(),
            replay: None,
            error: None,
        };
        let message = Message {
            headers: Headers::V1(headers),
            body: event.to_string().into(),
        };
        process(&self.store, &[&message], self.now()).await.unwrap();
    }

    async fn came_to(&self, event: &Value) -> (Value, Value) {
        let id = ["id", "event_id"].iter().find_map(|it| event[*it].as_str());
        let event = self.get(&format!("/events/{}", id.unwrap())).await;
        let event = event.expect(200);
        (event["outcome"].clone(), event["error"]["code"].clone())
    }

    /// The external ids of all customers.
    async fn all(&self) -> Vec<Value> {
        let list = self.get("/customers?include_deleted=true").await;
        let list = list.expect(200);
        let rows = list["data"].as_array().unwrap().iter();
        rows.map(|row| row["external_id"].clone()).collect()
    }

    /// The subjects of the flags about wrong modes.
    async fn wrong(&self) -> Vec<Value> {
        let list = self.get("/flags?kind=wrong_mode").await.expect(200);
        let rows = list["data"].as_array().unwrap().iter();
        rows.map(|row| row["subject"].clone()).collect()
    }
}

async fn a_live_event_takes_what_was_a_test_away(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.happens(&subscribed(1, false, NOW - 90)).await;
    assert_eq!(rig.all().await, ["stripe_cus_1"], "until then it counts");
    let test = rig.get("/customers/by-external/cus_1").await.expect(200);
    let tokens = format!("{}/tokens", path_of(&test));
    let token = rig.post(&tokens, json!({"name": "ci"})).await.expect(201);
    let license = json!({"customer_id": id_of(&test), "product": "tool", "key": "K-1"});
    rig.post("/licenses", license).await.expect(201);

    rig.happens(&subscribed(2, true, NOW - 80)).await;
    assert_eq!(rig.all().await, ["stripe_cus_2"]);
    for path in [path_of(&test), "/customers/by-external/cus_1".to_owned()] {
        rig.get(&path).await.refused(404, "customer_not_found");
    }
    rig.post(&format!("{}/suspend", path_of(&test)), json!({}))
        .await
        .refused(404, "customer_not_found");
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let access = rig
        .send(
            "GET",
            "/access?package=a/b",
            &[("authorization", &bearer)],
            None,
        )
        .await;
    assert_eq!(access.body["code"], "token_unknown");
    let valid = rig.post("/licenses/validate", json!({"key": "K-1"})).await;
    assert_eq!(valid.expect(200)["valid"], false);
    let flags = rig.get("/flags").await.expect(200);
    let flag = flags["data"].as_array().unwrap().iter();
    let flag = flag.clone().find(|it| it["kind"] == "wrong_mode").unwrap();
    assert_eq!(flag["subject"], "cus_1");
    assert_eq!(flag["customer_id"], Value::Null);
    let stats = rig.get("/stats").await.expect(200);
    assert_eq!(stats["customers"]["active"], 1, "{stats}");

    // Later ones are kept, and count as little.
    let later = subscribed(3, false, NOW - 70);
    rig.happens(&later).await;
    let ignored = (json!("ignored"), json!("wrong_mode"));
    assert_eq!(rig.came_to(&later).await, ignored);
    assert_eq!(rig.all().await, ["stripe_cus_2"]);
    assert_eq!(rig.wrong().await, ["cus_3", "cus_1"]);
    for _ in 0..2 {
        let flag = rig.get("/flags?kind=wrong_mode").await.expect(200)["data"][0].clone();
        rig.delete(&format!("/flags/{}", id_of(&flag)))
            .await
            .expect(204);
    }
    rig.happens(&later).await;
    assert_eq!(rig.wrong().await, Vec::<Value>::new());
    rig.happens(&subscribed(3, false, NOW - 60)).await;
    assert_eq!(rig.wrong().await, ["cus_3"], "a newer one");
}

async fn an_event_that_does_not_say_its_mode_makes_nothing_live(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.happens(&subscribed(1, false, NOW - 90)).await;
    let mut unsaid = stripe_event("evt_9", "foo.bar", NOW - 80, json!({"id": "x"}));
    for mode in [None, Some(Value::Null)] {
        unsaid["id"] = json!(format!("evt_{}", mode.is_some()));
        let event = unsaid.as_object_mut().unwrap();
        event.remove("livemode");
        event.extend(mode.map(|mode| ("livemode".to_owned(), mode)));
        rig.happens(&unsaid).await;
        assert_eq!(rig.all().await, ["stripe_cus_1"], "{unsaid}");
    }
}

async fn a_live_event_first_ends_the_same(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (live, test) = (
        subscribed(2, true, NOW - 80),
        subscribed(1, false, NOW - 90),
    );
    rig.happen(&[test.clone(), live, test]).await;
    assert_eq!(rig.all().await, ["stripe_cus_2"]);
    assert_eq!(rig.wrong().await, ["cus_1"]);
}

async fn a_customer_by_hand_stays(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig
        .customer(json!({"name": "Ada", "external_id": "cus_1"}))
        .await;
    rig.happens(&subscribed(1, false, NOW - 90)).await;
    let subscriptions = format!("{}/subscriptions", path_of(&made));
    let before = rig.get(&subscriptions).await.expect(200);
    assert_eq!(before["meta"]["total"], 1);
    rig.happens(&subscribed(2, true, NOW - 80)).await;
    let shown = rig.get(&path_of(&made)).await.expect(200);
    assert_eq!(
        (&shown["name"], &shown["status"]),
        (&json!("Ada"), &json!("active"))
    );
    assert_eq!(
        rig.get(&subscriptions).await.expect(200)["meta"]["total"],
        0
    );
    assert_eq!(rig.wrong().await, ["cus_1"]);
}

async fn what_a_test_secret_brings_counts_beside_live_events(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.comes(STRIPE.name, Mode::Test, &subscribed(1, false, NOW - 90))
        .await;
    rig.happens(&subscribed(2, true, NOW - 80)).await;
    rig.comes(STRIPE.name, Mode::Test, &subscribed(3, false, NOW - 70))
        .await;
    assert_eq!(rig.all().await.len(), 3);
    // It came by the other secret first.
    rig.happens(&subscribed(4, false, NOW - 60)).await;
    assert_eq!(rig.wrong().await, ["cus_4"]);
    rig.comes(STRIPE.name, Mode::Test, &subscribed(4, false, NOW - 50))
        .await;
    assert_eq!(rig.all().await.len(), 4);
    assert_eq!(rig.wrong().await, Vec::<Value>::new());
    // The very same event by both.
    let twice = subscribed(5, false, NOW - 40);
    rig.happens(&twice).await;
    rig.comes(STRIPE.name, Mode::Test, &twice).await;
    assert_eq!(rig.all().await.len(), 5);
    assert_eq!(rig.came_to(&twice).await, (json!("applied"), Value::Null));
}

async fn a_secret_of_one_mode_refuses_the_other_and_flags_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (test, live) = (
        subscribed(1, false, NOW - 90),
        subscribed(2, true, NOW - 80),
    );
    rig.comes(STRIPE.name, Mode::Live, &test).await;
    rig.comes(STRIPE.name, Mode::Test, &live).await;
    for event in [&test, &live] {
        let ignored = (json!("ignored"), json!("livemode_mismatch"));
        assert_eq!(rig.came_to(event).await, ignored);
    }
    assert_eq!(rig.all().await, Vec::<Value>::new());
    assert_eq!(rig.wrong().await, ["stripe", "stripe"]);
    // A live event by a secret for test events shows nothing of the others.
    rig.happens(&subscribed(3, false, NOW - 70)).await;
    assert_eq!(rig.all().await, ["stripe_cus_3"]);
}

async fn what_is_simulated_counts_until_the_endpoint_is_live(engine: Engine) {
    let rig = Rig::start(engine).await;
    let simulated = paddle("ntfsimevt_1", "canceled", "2026-01-05T11:00:00Z");
    rig.comes(PADDLE.name, Mode::Any, &simulated).await;
    assert_eq!(rig.all().await.len(), 1);
    let real = paddle("evt_1", "active", "2026-01-05T10:00:00Z");
    rig.comes(PADDLE.name, Mode::Any, &real).await;
    assert_eq!(rig.all().await, ["paddle_ctm_01h"]);
    let simulated = paddle("ntfsimevt_2", "canceled", "2026-01-05T11:30:00Z");
    rig.comes(PADDLE.name, Mode::Any, &simulated).await;
    let ignored = (json!("ignored"), json!("simulated"));
    assert_eq!(rig.came_to(&simulated).await, ignored);
    let shown = rig.get("/customers/by-external/ctm_01h").await.expect(200);
    assert_eq!(shown["status"], "active");
    assert_eq!(rig.wrong().await, Vec::<Value>::new());
}

async fn the_mark_is_seen_after_a_restart(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &subscribed(1, true, NOW)).await;
    let secrets = "/api/v1/apps/default/endpoints/stripe/secrets";
    let body = json!({"secret": "whsec_second"});
    let (_, made) = server.call("POST", secrets, Some(body)).await;
    assert!(made["live_since"].is_string(), "{made}");
    let (place, environment) = server.stop_and_keep().await;
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start_over(environment, place, dir).await;
    let event = server
        .deliver(STRIPE.name, &subscribed(2, false, NOW))
        .await;
    assert_eq!(event["outcome"], "ignored", "{event}");
    assert_eq!(event["error"]["code"], "wrong_mode");
    let (_, listed) = server.get(secrets).await;
    assert_eq!(listed["data"][0]["live_since"], made["live_since"]);
    let (_, customers) = server.get("/api/v1/customers").await;
    assert_eq!(customers["meta"]["total"], 1);
    server.stop().await;
}

on_both_stores! {
    a_live_event_takes_what_was_a_test_away,
    an_event_that_does_not_say_its_mode_makes_nothing_live,
    a_live_event_first_ends_the_same,
    a_customer_by_hand_stays,
    what_a_test_secret_brings_counts_beside_live_events,
    a_secret_of_one_mode_refuses_the_other_and_flags_it,
    what_is_simulated_counts_until_the_endpoint_is_live,
    the_mark_is_seen_after_a_restart,
}
