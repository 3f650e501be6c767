//! Changes on their way to whoever has bound a queue to them.

use std::sync::Mutex;

use async_trait::async_trait;
use lapin::options::{BasicAckOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::{Value, json};
use tollgate::domain::id::{AppSlug, CustomerId};
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::announce::{AnnounceError, announce};
use tollgate::provider::STRIPE;
use tollgate::queue::{Announcer, Notice, QueueError};
use tollgate::store::{Actor, AuditEntry, Store};
use uuid::Uuid;

use super::rig::RawClient;
use crate::support::rabbitmq::{prefix, shared};
use crate::support::stores::{Engine, TestStore, on_both_stores};
use crate::support::{
    TestServer, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};

/// A broker that refuses some kinds, and remembers the others.
#[derive(Default)]
struct Told {
    refuses: Mutex<Vec<&'static str>>,
    all: Mutex<Vec<Notice>>,
}

#[async_trait]
impl Announcer for Told {
    async fn announce(&self, notice: Notice) -> Result<(), QueueError> {
        if self.refuses.lock().unwrap().contains(&notice.kind.as_str()) {
            return Err(QueueError::Closed);
        }
        self.all.lock().unwrap().push(notice);
        Ok(())
    }
}

const NOW: i64 = 1_767_614_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds).unwrap()
}

fn entry(customer: u128, operation: &str) -> AuditEntry {
    AuditEntry {
        app: AppSlug::default_app(),
        at: at(0),
        actor: Actor::Root,
        customer: Some(CustomerId::from_uuid(Uuid::from_u128(customer))),
        operation: operation.to_owned(),
        details: json!({"reason": "x"}),
    }
}

async fn change(store: &Store, entries: &[AuditEntry]) {
    let mut tx = store.begin().await.unwrap();
    tx.audit_add(entries).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_lease_of_a_clock_that_was_ahead_is_not_heeded(engine: Engine) {
    let TestStore {
        store,
        place: _place,
    } = TestStore::new(engine, at(0)).await;
    let store = store.announcing(true);
    change(&store, &[entry(1, "create")]).await;
    let told = Told::default();
    *told.refuses.lock().unwrap() = vec!["customer.created"];
    let failed = announce(&store, &told, "a", at(1_000_000)).await;
    assert!(matches!(failed, Err(AnnounceError::Queue(_))), "{failed:?}");
    told.refuses.lock().unwrap().clear();
    assert_eq!(announce(&store, &told, "b", at(2)).await.unwrap().count, 1);
}

async fn a_broker_that_refuses_loses_nothing_and_turns_nothing_round(engine: Engine) {
    let TestStore { store, place } = TestStore::new(engine, at(0)).await;
    let store = store.announcing(true);
    let acts = ["create", "suspend", "reactivate", "expire"];
    for customer in 1..=3 {
        change(&store, &acts.map(|act| entry(customer, act))).await;
    }
    let told = Told::default();
    *told.refuses.lock().unwrap() = vec!["customer.reactivated"];
    let failed = announce(&store, &told, "a", at(1)).await;
    assert!(matches!(failed, Err(AnnounceError::Queue(_))), "{failed:?}");
    let kinds = |all: &[Notice]| all.iter().map(|it| it.kind.clone()).collect::<Vec<_>>();
    let first = kinds(&told.all.lock().unwrap());
    assert!(!first.contains(&"customer.expired".to_owned()), "{first:?}");
    assert_eq!(first.len(), 6);

    // Another worker does nothing while the lease lasts, and goes on when it has run out.
    told.refuses.lock().unwrap().clear();
    assert_eq!(announce(&store, &told, "b", at(2)).await.unwrap().count, 0);
    assert_eq!(announce(&store, &told, "b", at(60)).await.unwrap().count, 6);
    let all = told.all.lock().unwrap().clone();
    for customer in 1..=3 {
        let id = CustomerId::from_uuid(Uuid::from_u128(customer));
        let of_one = all.iter().filter(|it| it.body.contains(id.as_str()));
        let of_one: Vec<String> = of_one.map(|it| it.kind.clone()).collect();
        let wanted = ["created", "suspended", "reactivated", "expired"];
        assert_eq!(of_one, wanted.map(|it| format!("customer.{it}")));
    }
    let count = "SELECT COUNT(*) FROM changes";
    assert_eq!(place.count(count, count).await, 0, "nobody else wants them");
    assert_eq!(all[0].key, "default.customer.created");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_bound_to_changes_gets_them_in_order() {
    let prefix = prefix();
    let server = TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), shared().url().into());
        let plans = r#"{"price_basic": ["acme/tool"]}"#;
        environment.insert("STRIPE_PRICE_MAPPING".into(), plans.into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix.clone().into());
    })
    .await;
    let raw = RawClient::at(shared()).await;
    let queue = format!("{prefix}.of-a-shop");
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let channel = &raw.channel;
    let declared = channel.queue_declare(queue.as_str().into(), exclusive, FieldTable::default());
    declared.await.unwrap();
    let bound = channel.queue_bind(
        queue.as_str().into(),
        format!("{prefix}.changes").as_str().into(),
        "default.customer.*".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();

    let customer = stripe_customer("cus_1", "one@example.com");
    let sign_up = stripe_event(
        "evt_1",
        "customer.created",
        seconds_from_now(-100),
        customer,
    );
    server.deliver(STRIPE.name, &sign_up).await;
    for (id, status, seconds) in [("evt_2", "active", -90), ("evt_3", "unpaid", -80)] {
        let object = stripe_subscription("sub_1", "cus_1", status);
        let kind = "customer.subscription.updated";
        let event = stripe_event(id, kind, seconds_from_now(seconds), object);
        server.deliver(STRIPE.name, &event).await;
    }
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|last| last != "customer.suspended") {
        let got = raw.get(&queue).await;
        got.ack(BasicAckOptions::default()).await.unwrap();
        let body: Value = serde_json::from_slice(&got.data).unwrap();
        let properties = &got.properties;
        assert_eq!(
            properties.message_id().as_ref().unwrap().as_str(),
            body["id"]
        );
        assert_eq!(*properties.delivery_mode(), Some(2));
        let kind = properties.kind().as_ref().unwrap().to_string();
        assert_eq!(got.routing_key.as_str(), format!("default.{kind}"));
        assert!(body["customer_id"].is_string(), "{body}");
        kinds.push(kind);
    }
    assert_eq!(kinds[0], "customer.created", "{kinds:?}");
    assert!(kinds.contains(&"customer.granted".to_owned()), "{kinds:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_for_a_broker_that_is_not_to_be_told() {
    let server = TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), shared().url().into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix().into());
        environment.insert("TOLLGATE_PUBLISH_CHANGES".into(), "off".into());
    })
    .await;
    let customer = stripe_customer("cus_1", "one@example.com");
    let created = seconds_from_now(-100);
    let sign_up = stripe_event("evt_1", "customer.created", created, customer);
    let event = server.deliver(STRIPE.name, &sign_up).await;
    assert_eq!(event["outcome"], "applied", "{event}");
    // Told or not, each change takes a number.
    let told = "SELECT COUNT(*) FROM pg_sequences WHERE sequencename = 'changes_seq_seq' \
                AND last_value IS NOT NULL";
    assert_eq!(server.place.count(told, told).await, 0);
    server.stop().await;
}

on_both_stores! {
    a_broker_that_refuses_loses_nothing_and_turns_nothing_round,
    a_lease_of_a_clock_that_was_ahead_is_not_heeded,
}
