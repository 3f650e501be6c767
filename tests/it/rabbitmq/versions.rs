//! Queues of the version before this one, and the limit of the work queue.

use std::time::{Duration, Instant};

use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ExchangeKind};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tollgate::config::Config;
use tollgate::http::Roles;
use tollgate::provider::STRIPE;
use tollgate::queue::rabbitmq::{IdlePeriods, RabbitQueue};
use tollgate::queue::{Consumer, Lane, Publisher, Settlement};
use tollgate::server::Server;

use super::rig::{PATIENCE, RawClient, ids, message, take, work_queue};
use crate::support::rabbitmq::{prefix, shared};
use crate::support::stores::{Engine, Place};
use crate::support::{
    NO_ROLE, TestServer, client, post_signed, seconds_from_now, shared_config, stripe_customer,
    stripe_event,
};

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

async fn older_queue(raw: &RawClient, name: &str, arguments: &[(&str, AMQPValue)]) {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    for (argument, value) in arguments {
        table.insert((*argument).into(), value.clone());
    }
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = raw.channel.queue_declare(name.into(), options, table).await;
    declared.unwrap();
}

async fn bind(raw: &RawClient, queue: &str, exchange: &str, key: &str) {
    let bound = raw.channel.queue_bind(
        queue.into(),
        exchange.into(),
        key.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
}

/// Declares what the first version declared.
async fn declare_older(raw: &RawClient, prefix: &str) {
    for name in ["events", "failed"] {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let declared = raw.channel.exchange_declare(
            format!("{prefix}.{name}").into(),
            ExchangeKind::Direct,
            options,
            FieldTable::default(),
        );
        declared.await.unwrap();
    }
    let (work, failed) = (format!("{prefix}.work"), format!("{prefix}.failed"));
    let dead = |exchange: &str, key: &str| {
        [
            ("x-dead-letter-exchange", text(exchange)),
            ("x-dead-letter-routing-key", text(key)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ]
    };
    let mut arguments = dead(&failed, "failed").to_vec();
    arguments.push(("x-delivery-limit", 20.into()));
    older_queue(raw, &work, &arguments).await;
    bind(raw, &work, &format!("{prefix}.events"), "work").await;
    older_queue(raw, &failed, &[("x-delivery-limit", 1_000_000_000.into())]).await;
    bind(raw, &failed, &failed, "failed").await;
    for delay in [1_000_i64, 5_000, 30_000, 120_000, 600_000, 3_600_000] {
        let mut arguments = dead(&format!("{prefix}.events"), "work").to_vec();
        arguments.push(("x-message-ttl", AMQPValue::LongLongInt(delay)));
        older_queue(raw, &format!("{prefix}.retry.{delay}"), &arguments).await;
    }
}

/// Waits until the broker has no queue of a name.
async fn until_gone(queue: &str) {
    let started = Instant::now();
    loop {
        let raw = RawClient::at(shared()).await;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let seen = raw
            .channel
            .queue_declare(queue.into(), passive, FieldTable::default());
        let Ok(seen) = seen.await else { return };
        let waited = started.elapsed();
        assert!(waited < PATIENCE * 2, "{queue} stays: {seen:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn sign_up(n: usize) -> Value {
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    let created = seconds_from_now(-100);
    stripe_event(&format!("evt_{n}"), "customer.created", created, customer)
}

async fn receiver(config: &Config) -> Server {
    let roles = Roles {
        receiver: true,
        ..NO_ROLE
    };
    Server::start(config, roles).await.unwrap()
}

async fn post(receiver: &Server, n: usize) -> u16 {
    let url = format!("http://{}/webhooks/stripe", receiver.address());
    let body = sign_up(n).to_string().into_bytes();
    post_signed(&client(), &url, STRIPE.name, body).await.0
}

/// Makes messages as a receiver makes them.
async fn messages(count: usize) -> Vec<(BasicProperties, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(Engine::Postgres).await;
    let config = shared_config(dir.path(), &place);
    let queue = work_queue(&config.queue.amqp_prefix);
    let receiver = receiver(&config).await;
    let raw = RawClient::at(shared()).await;
    let mut messages = Vec::new();
    for n in 0..count {
        assert_eq!(post(&receiver, n).await, 200);
        let got = raw.get(&queue).await;
        got.acker.ack(BasicAckOptions::default()).await.unwrap();
        messages.push((got.properties, got.data));
    }
    receiver.stop().await;
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_in_queues_of_the_version_before_is_processed_and_they_go() {
    let prefix = prefix();
    let raw = RawClient::at(shared()).await;
    declare_older(&raw, &prefix).await;
    for (n, (properties, body)) in messages(60).await.into_iter().enumerate() {
        let queue = match n {
            0..40 => "work",
            40..50 => "retry.1000",
            _ => "failed",
        };
        let queue = format!("{prefix}.{queue}");
        raw.publish(&queue, properties, &body).await;
    }
    let server = TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), shared().url().into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix.as_str().into());
    })
    .await;
    for n in 0..60 {
        let event = server.outcome(&format!("evt_{n}")).await;
        assert_eq!(event["outcome"], "applied", "{event}");
    }
    until_gone(&format!("{prefix}.work")).await;
    until_gone(&format!("{prefix}.failed")).await;
    let event = server.deliver(STRIPE.name, &sign_up(60)).await;
    assert_eq!(event["outcome"], "applied", "{event}");
    server.stop().await;
}

/// The worker of the version before is played by a consumer that keeps to its own queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_the_version_before_goes_on_beside_this_one() {
    let prefix = prefix();
    let (events, older) = (format!("{prefix}.events"), format!("{prefix}.work"));
    let raw = RawClient::at(shared()).await;
    declare_older(&raw, &prefix).await;
    let deliveries = raw.channel.basic_consume(
        older.as_str().into(),
        "old worker".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let deliveries = deliveries.await.unwrap();
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    let shutdown = CancellationToken::new();
    let draining = tokio::spawn(
        queue
            .clone()
            .empty_older_queues(IdlePeriods::default(), shutdown.clone()),
    );
    let mut consumer = queue.consumer(Lane::Work);
    let template = messages(1).await.remove(0);

    // Its retry comes to a worker, whichever that is; this one once the queue is off the exchange.
    let started = Instant::now();
    let retry = format!("{prefix}.retry.1000");
    raw.publish(&retry, template.0, &template.1).await;
    let mut batch = take(&mut consumer).await;
    assert_eq!(ids(&batch), ["evt_0"]);
    // It connects again and binds its queue again: messages reach both.
    bind(&raw, &older, &events, "work").await;
    queue.publish(message("evt_both")).await.unwrap();
    batch.extend(take(&mut consumer).await);
    assert!(ids(&batch).contains(&"evt_both".to_owned()));
    // As long as it consumes, its queue stays.
    while started.elapsed() < Duration::from_secs(18) {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let seen = raw
            .channel
            .queue_declare(older.as_str().into(), passive, FieldTable::default());
        assert_eq!(seen.await.unwrap().consumer_count(), 1);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let ended = raw
        .channel
        .basic_cancel("old worker".into(), BasicCancelOptions::default());
    ended.await.unwrap();
    drop(deliveries);
    drop(raw);
    until_gone(&older).await;
    let done = batch.into_iter().map(|it| (it, Settlement::Ack)).collect();
    consumer.settle(done).await.unwrap();
    shutdown.cancel();
    draining.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_queues_for_delays_are_deleted_once_nothing_rests_in_them() {
    let prefix = prefix();
    let delay = |millis: u32| format!("{prefix}.retry.{millis}");
    let raw = RawClient::at(shared()).await;
    declare_older(&raw, &prefix).await;
    let resting = BasicProperties::default().with_delivery_mode(2);
    raw.publish(&delay(600_000), resting, b"rests").await;
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    let shutdown = CancellationToken::new();
    let patience = IdlePeriods {
        lane: Duration::from_secs(1),
        delays: Duration::from_secs(1),
    };
    let draining = tokio::spawn(queue.empty_older_queues(patience, shutdown.clone()));

    for millis in [1_000, 5_000, 30_000, 120_000] {
        until_gone(&delay(millis)).await;
    }
    let left = raw
        .channel
        .queue_purge(delay(600_000).into(), QueuePurgeOptions::default());
    assert_eq!(left.await.unwrap(), 1, "what rests keeps its queue");
    for millis in [600_000, 3_600_000] {
        until_gone(&delay(millis)).await;
    }
    shutdown.cancel();
    draining.await.unwrap();
}

async fn spooled(place: &Place) -> i64 {
    let sql = "SELECT count(*) FROM messages WHERE lane = 'spool'";
    place.count(sql, sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_work_queue_makes_receivers_spool_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(Engine::Postgres).await;
    let config = shared_config(dir.path(), &place);
    let prefix = config.queue.amqp_prefix.clone();
    // What the queue itself has is too much to fill; a policy can only lower it.
    let pattern = format!(r"^{prefix}\.work\.2$");
    let limit = r#"{"max-length-bytes": 2000}"#;
    let apply = ["--apply-to", "queues"];
    let set = [&["set_policy"], &apply[..], &[&prefix, &pattern, limit]].concat();
    tokio::task::block_in_place(|| shared().ctl(&set));

    let receiver = receiver(&config).await;
    for n in 0..40 {
        assert_eq!(post(&receiver, n).await, 200);
    }
    let waiting = spooled(&place).await;
    assert!((1..40).contains(&waiting), "{waiting} in the spool");
    let arguments =
        tokio::task::block_in_place(|| shared().ctl(&["list_queues", "name", "arguments"]));
    let of_work = arguments
        .lines()
        .find(|it| it.starts_with(&work_queue(&prefix)))
        .unwrap();
    assert!(of_work.contains("4294967296"), "{of_work}");

    let environment = crate::support::environment(dir.path());
    let worker = TestServer::start_over(
        environment
            .into_iter()
            .chain([
                ("DATABASE_URL".into(), place.url().into()),
                (
                    "TOLLGATE_SECRET_KEY".into(),
                    crate::support::SECRET_KEY.into(),
                ),
                ("AMQP_URL".into(), shared().url().into()),
                ("TOLLGATE_AMQP_PREFIX".into(), prefix.as_str().into()),
            ])
            .collect(),
        place,
        dir,
    )
    .await;
    for n in 0..40 {
        let event = worker.outcome(&format!("evt_{n}")).await;
        assert_eq!(event["outcome"], "applied", "{event}");
    }
    receiver.stop().await;
    assert_eq!(spooled(&worker.place).await, 0);
    worker.stop().await;
    tokio::task::block_in_place(|| shared().ctl(&["clear_policy", &prefix]));
}

/// What 0.2.0 publishes for a webhook, word by word: its messages may lie in the queues, or come from
/// receivers that still run, when this version's workers begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_0_2_0_is_worked_off() {
    let prefix = prefix();
    let server = TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), shared().url().into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix.as_str().into());
    })
    .await;
    let received_at = seconds_from_now(-5);
    let mut table = FieldTable::default();
    for (name, value) in [
        ("version", "1"),
        ("app", "default"),
        ("provider", "stripe"),
        ("event_id", "evt_7"),
        ("type", "customer.created"),
        ("mode", "any"),
        ("receipt", "0123456789abcdef0123456789abcdef"),
        ("request_id", "req-of-0.2.0"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ] {
        table.insert(name.into(), text(value));
    }
    let nanos = received_at * 1_000_000_000;
    table.insert("received_at".into(), AMQPValue::LongLongInt(nanos));
    table.insert("attempt".into(), AMQPValue::LongLongInt(0));
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_message_id("evt_7".into())
        .with_type("customer.created".into())
        .with_timestamp(received_at.unsigned_abs())
        .with_headers(table);
    let raw = RawClient::at(shared()).await;
    let body = sign_up(7).to_string();
    raw.publish(&work_queue(&prefix), properties, body.as_bytes())
        .await;
    let event = server.outcome("evt_7").await;
    assert_eq!(event["outcome"], "applied", "{event}");
    assert_eq!(event["attempts"], 1, "{event}");
    server.stop().await;
}
