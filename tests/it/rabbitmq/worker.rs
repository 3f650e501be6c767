//! The whole way over RabbitMQ, and what becomes of messages that nobody can process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use lapin::types::AMQPValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tollgate::clock::SystemClock;
use tollgate::provider::STRIPE;
use tollgate::queue::rabbitmq::RabbitQueue;
use tollgate::queue::{Consumer, Delivery, Lane, Message, Publisher, QueueError, Settlement};
use tollgate::store::Store;
use tollgate::worker::Worker;

use super::rig::{RawClient, failed_queue, message, work_queue};
use crate::support::rabbitmq::{prefix, shared};
use crate::support::stores::Engine;
use crate::support::{
    TestServer, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};

async fn server(prefix: &str) -> TestServer {
    TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), shared().url().into());
        // What buys nothing counts nowhere.
        let plans = r#"{"price_basic": ["acme/tool"]}"#;
        environment.insert("STRIPE_PRICE_MAPPING".into(), plans.into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix.into());
    })
    .await
}

fn sign_up(id: &str) -> Value {
    let customer = stripe_customer("cus_1", "one@example.com");
    stripe_event(id, "customer.created", seconds_from_now(-100), customer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_processed_end_to_end_over_rabbitmq() {
    let server = server(&prefix()).await;
    let event = server.deliver(STRIPE.name, &sign_up("evt_1")).await;
    assert_eq!(event["outcome"], "applied", "{event}");
    for (id, status, seconds) in [("evt_2", "active", -90), ("evt_3", "unpaid", -80)] {
        let object = stripe_subscription("sub_1", "cus_1", status);
        let updated = "customer.subscription.updated";
        let event = stripe_event(id, updated, seconds_from_now(seconds), object);
        server.deliver(STRIPE.name, &event).await;
    }
    let (_, customer) = server
        .get("/api/v1/customers/by-external/stripe_cus_1")
        .await;
    assert_eq!(customer["status"], "suspended", "{customer}");

    let again = sign_up("evt_1");
    let posts = join_all((0..4).map(|_| server.post(STRIPE.name, &again))).await;
    assert!(posts.iter().all(|(status, _)| *status == 200), "{posts:?}");
    let again = server
        .until("/api/v1/events/evt_1", |event| event["duplicates"] == 4)
        .await;
    assert_eq!(again["outcome"], "applied");
    let (status, ready) = server.get("/readyz").await;
    assert_eq!(status, 200, "{ready}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_event_ends_in_the_ledger_and_can_be_replayed() {
    let server = server(&prefix()).await;
    let broken = json!({ "id": "evt_1", "object": "event", "type": "customer.created" });
    let event = server.deliver(STRIPE.name, &broken).await;
    assert_eq!(event["outcome"], "failed", "{event}");
    assert_eq!(event["attempts"], 1, "{event}");
    let (status, answer) = server
        .call("POST", "/api/v1/events/evt_1/replay", None)
        .await;
    assert!(status < 300, "{status} {answer}");
    let event = server.outcome("evt_1").await;
    assert_eq!(event["outcome"], "failed", "{event}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_dead_lettered_by_the_broker_is_tried_alone_then_recorded() {
    let prefix = prefix();
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    let mut innocent = message("evt_innocent");
    innocent.body = sign_up("evt_innocent").to_string().into();
    innocent.headers_mut().event_type = "customer.created".to_owned();
    let mut guilty = message("evt_guilty");
    guilty.body = "{}".into();
    // An earlier try's reason, which is not why the broker gives it up.
    guilty.headers_mut().attempt = 2;
    guilty.headers_mut().error = Some(tollgate::domain::event::EventError {
        code: "earlier".to_owned(),
        detail: "an earlier try".to_owned(),
    });
    for message in [innocent, guilty] {
        queue.publish(message).await.unwrap();
    }
    let raw = RawClient::at(shared()).await;
    raw.crash(&work_queue(&prefix), 2, 21).await;
    // Both are dead letters now, and the work queue is empty.
    let dead = raw.get(&failed_queue(&prefix)).await;
    let headers = dead.properties.headers().clone().unwrap();
    let reason = headers.inner().get("x-first-death-reason").cloned();
    assert_eq!(
        reason,
        Some(AMQPValue::LongString("delivery_limit".into())),
        "{headers:?}"
    );
    let back = lapin::options::BasicNackOptions {
        multiple: false,
        requeue: true,
    };
    dead.acker.nack(back).await.unwrap();

    let server = server(&prefix).await;
    let event = server.outcome("evt_innocent").await;
    assert_eq!(event["outcome"], "applied", "{event}");
    let event = server.outcome("evt_guilty").await;
    assert_eq!(event["outcome"], "failed", "{event}");
    assert_ne!(event["error"]["code"], "earlier", "{event}");
    server.stop().await;
}

/// Hands out one batch, and remembers what it was told.
#[derive(Clone, Default)]
struct Scripted {
    batches: Arc<Mutex<VecDeque<Vec<Message>>>>,
    told: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Consumer for Scripted {
    async fn next_batch(&mut self, _most: usize) -> Result<Vec<Delivery>, QueueError> {
        let batch = self.batches.lock().unwrap().pop_front();
        let Some(batch) = batch else {
            return std::future::pending().await;
        };
        self.told.lock().unwrap().push("next_batch".to_owned());
        let delivery = |message| Delivery {
            tag: 1,
            delivery_count: 0,
            message,
        };
        Ok(batch.into_iter().map(delivery).collect())
    }

    async fn settle(&mut self, settled: Vec<(Delivery, Settlement)>) -> Result<(), QueueError> {
        let told = format!("settle {}", settled.len());
        self.told.lock().unwrap().push(told);
        Ok(())
    }

    async fn give_back(&mut self, deliveries: Vec<Delivery>) {
        let told = format!("give_back {}", deliveries.len());
        self.told.lock().unwrap().push(told);
    }
}

#[tokio::test]
async fn while_the_store_is_away_a_batch_is_given_back_once_and_none_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&dir.path().join("t.db")).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let work = Scripted::default();
    *work.batches.lock().unwrap() = [
        vec![message("evt_1"), message("evt_2")],
        vec![message("evt_3")],
    ]
    .into();
    let failed = Scripted::default();
    *failed.batches.lock().unwrap() = [vec![message("evt_4")]].into();
    let shutdown = CancellationToken::new();
    let worker = Worker::new(store, Arc::new(SystemClock), shutdown.clone())
        .with_outage_limit(Duration::from_millis(200));
    let running = tokio::spawn(worker.run(work.clone(), failed.clone(), None));
    tokio::time::sleep(Duration::from_secs(2)).await;
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(*work.told.lock().unwrap(), ["next_batch", "give_back 2"]);
    assert_eq!(*failed.told.lock().unwrap(), ["next_batch", "give_back 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_given_back_counts_once_towards_the_delivery_limit() {
    let prefix = prefix();
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    queue.publish(message("evt_1")).await.unwrap();
    let mut consumer = queue.consumer(Lane::Work);
    for expected in 0..3 {
        let batch = super::rig::take(&mut consumer).await;
        assert_eq!(batch[0].delivery_count, expected);
        consumer.give_back(batch).await;
    }
}

#[tokio::test]
async fn check_config_tries_the_broker() {
    let dir = tempfile::tempdir().unwrap();
    let run = |url: &str| {
        let mut environment = crate::support::environment(dir.path());
        environment.insert("AMQP_URL".into(), url.into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix().into());
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["check-config", "--connect"])
            .env_clear()
            .envs(environment)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (good, said) = run(&shared().url());
    assert!(good && said.contains("the broker answers"), "{said}");
    let (good, said) = run(&shared().url().replace("guest:guest", "guest:hush"));
    assert!(!good && said.contains("ACCESS_REFUSED"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}
