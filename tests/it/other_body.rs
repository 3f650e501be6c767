//! An event that comes again with another body: a duplicate still, and a flag.

use serde_json::{Value, json};
use tollgate::domain::customer::flag::{FlagHolder, FlagKind, HeldFlag};
use tollgate::domain::event::EventOutcome;
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::provider::{PADDLE, STRIPE};
use tollgate::store::{FlagFilter, Store, Window};

use crate::process::message;
use crate::support::stores::{Engine, TestStore, on_both_stores};
use crate::support::{
    TestServer, post_signed, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};

const CUSTOMER: &str = "/api/v1/customers/by-external/stripe_cus_1";

fn sign_up() -> Value {
    let customer = stripe_customer("cus_1", "one@example.com");
    stripe_event("evt_1", "customer.created", 1_790_000_000, customer)
}

fn named(name: &str) -> Value {
    let mut event = sign_up();
    event["data"]["object"]["name"] = json!(name);
    event
}

/// A server that has had an event, and how often it came again.
struct Again {
    server: TestServer,
    times: u64,
}

impl Again {
    async fn after(engine: Engine, event: &Value) -> Self {
        let server = TestServer::start(engine).await;
        let provider = match event["event_id"] {
            Value::Null => STRIPE,
            _ => PADDLE,
        };
        server.deliver(provider.name, event).await;
        Self { server, times: 0 }
    }

    /// Sends a body of the event `evt_1`, and waits until it was counted.
    async fn comes(&mut self, body: &str) {
        let provider = if body.contains("event_id") {
            PADDLE.name
        } else {
            STRIPE.name
        };
        let url = format!("{}/webhooks/{provider}", self.server.base);
        let body = body.as_bytes().to_vec();
        let (status, answer) = post_signed(&self.server.client, &url, provider, body).await;
        assert_eq!(status, 200, "{answer}");
        self.times += 1;
        let times = self.times;
        let counted = |event: &Value| event["duplicates"] == times;
        self.server.until("/api/v1/events/evt_1", counted).await;
    }

    async fn flags(&self) -> Vec<Value> {
        let (_, listed) = self.server.get("/api/v1/flags").await;
        let flags = listed["data"].as_array().unwrap().iter();
        let own = flags.filter(|flag| flag["kind"] == "same_id_other_body");
        own.cloned().collect()
    }

    async fn clear(&self, flag: &Value) {
        let path = format!("/api/v1/flags/{}", flag["id"].as_str().unwrap());
        let (status, answer) = self.server.call("DELETE", &path, None).await;
        assert_eq!(status, 204, "{answer}");
        assert_eq!(self.flags().await, [] as [Value; 0]);
    }
}

async fn another_body_is_a_duplicate_and_its_customer_is_flagged(engine: Engine) {
    let mut again = Again::after(engine, &sign_up()).await;
    again.comes(&named("Somebody else").to_string()).await;
    let flags = again.flags().await;
    let [flag] = &flags[..] else {
        panic!("one flag: {flags:?}")
    };
    assert_eq!(flag["subject"], "evt_1");
    assert!(flag["at"].is_string());
    let (first, other) = (&flag["bodies"]["first"], &flag["bodies"]["other"]);
    assert_eq!(first.as_str().unwrap().len(), 64);
    assert_eq!(other.as_str().unwrap().len(), 64);
    assert_ne!(first, other);

    let (_, customer) = again.server.get(CUSTOMER).await;
    assert_eq!(flag["customer_id"], customer["id"]);
    assert_eq!(customer["flags"], json!([flag]));
    assert_eq!(customer["name"], "A Customer", "what came first counts");
    let path = format!("/api/v1/customers/{}", customer["id"].as_str().unwrap());
    let (_, explained) = again.server.get(&format!("{path}/explain")).await;
    assert_eq!(explained["flags"], json!([flag]));
    let (_, timeline) = again
        .server
        .get(&format!("{path}/timeline?kind=flag"))
        .await;
    assert_eq!(timeline["data"].as_array().unwrap().len(), 1, "{timeline}");
    again.server.stop().await;
}

async fn a_cleared_body_stays_cleared_until_yet_another_comes(engine: Engine) {
    let mut again = Again::after(engine, &sign_up()).await;
    again.comes(&named("b").to_string()).await;
    let flag = again.flags().await.remove(0);
    again.clear(&flag).await;
    for body in [named("b"), sign_up(), named("b")] {
        again.comes(&body.to_string()).await;
    }
    assert_eq!(again.flags().await, [] as [Value; 0]);
    again.comes(&named("c").to_string()).await;
    let third = again.flags().await.remove(0);
    assert_eq!(third["bodies"]["first"], flag["bodies"]["first"]);
    assert_ne!(third["bodies"]["other"], flag["bodies"]["other"]);
    again.comes(&named("b").to_string()).await;
    assert_eq!(again.flags().await, [third]);
    again.server.stop().await;
}

async fn what_providers_change_between_deliveries_is_no_other_body(engine: Engine) {
    let mut event = sign_up();
    event["data"]["object"]["url"] = json!("https://pay.example.com/1?token=a");
    let mut again = Again::after(engine, &event).await;
    let with = |place: &str, value: Value| {
        let mut event = event.clone();
        *event.pointer_mut(place).unwrap() = value;
        event.to_string()
    };
    again.comes(&event.to_string()).await;
    again.comes(&with("/pending_webhooks", json!(0))).await;
    let link = json!("https://pay.example.com/1?token=b");
    again.comes(&with("/data/object/url", link)).await;
    // The same in another version, sent to another endpoint of the same app.
    let mut older = event.clone();
    older["api_version"] = json!("2020-08-27");
    older["data"]["object"]["currency"] = Value::Null;
    again.comes(&older.to_string()).await;
    let pretty = serde_json::to_string_pretty(&event).unwrap();
    again.comes(&pretty).await;
    // Ordered by an admin: the body that is in the ledger.
    let replay = Some(json!({ "force": true }));
    let path = "/api/v1/events/evt_1/replay";
    let (status, answer) = again.server.call("POST", path, replay).await;
    assert_eq!(status, 202, "{answer}");
    again.comes(&event.to_string()).await;
    assert_eq!(again.flags().await, [] as [Value; 0]);
    again.server.stop().await;
}

async fn a_replayed_notification_of_paddles_is_no_other_body(engine: Engine) {
    let event = json!({
        "event_id": "evt_1", "event_type": "customer.created", "notification_id": "ntf_1",
        "occurred_at": "2026-03-09T09:00:00.1Z",
        "data": { "id": "ctm_1", "name": "Ann", "email": "one@example.com" },
    });
    let mut again = Again::after(engine, &event).await;
    let body = r#"{ "data": {"email": "one@example.com", "name": "Ann", "id": "ctm_1"},
        "occurred_at": "2026-03-09T09:00:00.1Z", "notification_id": "ntf_2",
        "event_type": "customer.created", "event_id": "evt_1" }"#;
    again.comes(body).await;
    assert_eq!(again.flags().await, [] as [Value; 0]);
    again.comes(&body.replace("Ann", "Bob")).await;
    assert_eq!(again.flags().await.len(), 1);
    again.server.stop().await;
}

async fn without_a_customer_the_flag_is_nobodys(engine: Engine) {
    let event = |id: &str| {
        let object = json!({ "id": id, "object": "hologram" });
        stripe_event("evt_1", "hologram.projected", 1_790_000_000, object)
    };
    let mut again = Again::after(engine, &event("holo_1")).await;
    again.comes(&event("holo_2").to_string()).await;
    let flag = again.flags().await.remove(0);
    assert_eq!(
        (&flag["subject"], &flag["customer_id"]),
        (&json!("evt_1"), &Value::Null)
    );
    again.clear(&flag).await;
    again.comes(&event("holo_2").to_string()).await;
    assert_eq!(again.flags().await, [] as [Value; 0]);
    again.comes(&event("holo_3").to_string()).await;
    assert_eq!(again.flags().await.len(), 1);
    again.server.stop().await;
}

async fn open_flags(store: &Store) -> Vec<HeldFlag> {
    let window = Window::Walk {
        after: None,
        size: 10,
    };
    let wanted = FlagFilter {
        kind: Some(FlagKind::SameIdOtherBody),
        customer: None,
    };
    let mut tx = store.read().await.unwrap();
    let listed = tx
        .flag_list(&AppSlug::default_app(), &wanted, &window)
        .await;
    listed.unwrap().rows
}

async fn both_bodies_may_come_in_one_batch(engine: Engine) {
    let now = Timestamp::from_seconds(1_790_000_100).unwrap();
    let TestStore {
        store,
        place: _place,
    } = TestStore::new(engine, now).await;
    let object = stripe_subscription("sub_1", "cus_1", "active");
    let other = |id: &str, quantity: i64| {
        let mut object = object.clone();
        object["items"]["data"][0]["quantity"] = json!(quantity);
        let created = seconds_from_now(-9);
        stripe_event(id, "customer.subscription.updated", created, object)
    };
    let messages = [
        message(&other("evt_1", 1), "1"),
        message(&other("evt_1", 2), "2"),
        message(&other("evt_2", 3), "3"),
        message(&other("evt_1", 2), "4"),
    ];
    let batch: Vec<_> = messages.iter().collect();
    let dispositions = process(&store, &batch, now).await.unwrap();
    let applied = Disposition::Done(EventOutcome::Applied);
    assert_eq!(dispositions[0], applied);
    assert_eq!(dispositions[1], Disposition::Duplicate);
    assert_eq!(dispositions[3], Disposition::Duplicate);
    let flags = open_flags(&store).await;
    assert_eq!(flags.len(), 1, "{flags:?}");
    assert!(matches!(flags[0].holder, FlagHolder::Customer(_)));
    // What a worker has taken twice is itself, whatever it says.
    let same_receipt = message(&other("evt_1", 9), "1");
    let dispositions = process(&store, &[&same_receipt], now).await.unwrap();
    assert_eq!(dispositions, [Disposition::Redelivered]);
    assert_eq!(open_flags(&store).await, flags);
}

on_both_stores! {
    another_body_is_a_duplicate_and_its_customer_is_flagged,
    a_cleared_body_stays_cleared_until_yet_another_comes,
    what_providers_change_between_deliveries_is_no_other_body,
    a_replayed_notification_of_paddles_is_no_other_body,
    without_a_customer_the_flag_is_nobodys,
    both_bodies_may_come_in_one_batch,
}
