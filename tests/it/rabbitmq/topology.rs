//! What is there already, and what is missing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ExchangeKind};
use tollgate::queue::rabbitmq::RabbitQueue;
use tollgate::queue::{Consumer, Lane, Publisher, Settlement};

use super::rig::{PATIENCE, RawClient, ids, message, retry_queue, take, work_queue};
use crate::support::rabbitmq::{prefix, shared};

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

async fn refusal(prefix: &str) -> String {
    let started = RabbitQueue::start(&shared().settings(prefix)).await;
    let error = started.err().expect("what does not fit is refused");
    assert!(error.is_permanent());
    chain(&error)
}

#[tokio::test]
async fn what_differs_on_the_broker_is_named_with_what_to_do() {
    let raw = RawClient::at(shared()).await;
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let text = |text: &str| AMQPValue::LongString(text.into());
    // All that ours has, but for one argument.
    let but = |prefix: &str, argument: &str, value: Option<AMQPValue>| {
        let mut arguments = std::collections::BTreeMap::from([
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", 20.into()),
            ("x-dead-letter-exchange", text(&format!("{prefix}.failed"))),
            ("x-dead-letter-routing-key", text("failed")),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
            ("x-max-length-bytes", AMQPValue::LongLongInt(4 << 30)),
        ]);
        arguments.retain(|name, _| *name != argument);
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert(name.into(), value);
        }
        if let Some(value) = value {
            table.insert(argument.into(), value);
        }
        table
    };
    let cases = [
        (
            "x-delivery-limit",
            None,
            "`x-delivery-limit`: found none, wanted 20",
        ),
        (
            "x-delivery-limit",
            Some(5.into()),
            "`x-delivery-limit`: found 5, wanted 20",
        ),
        (
            "x-dead-letter-strategy",
            Some(text("at-most-once")),
            "`x-dead-letter-strategy`: found at-most-once, wanted at-least-once",
        ),
    ];
    for (argument, value, expected) in cases {
        let prefix = prefix();
        let name = work_queue(&prefix);
        let declared =
            raw.channel
                .queue_declare(name.as_str().into(), durable, but(&prefix, argument, value));
        declared.await.unwrap();
        let said = refusal(&prefix).await;
        assert!(said.contains(&format!("queue `{name}`")), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(said.contains("delete it"), "{said}");
    }

    let prefix = prefix();
    let name = format!("{prefix}.events");
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = raw.channel.exchange_declare(
        name.as_str().into(),
        ExchangeKind::Topic,
        options,
        FieldTable::default(),
    );
    declared.await.unwrap();
    let said = refusal(&prefix).await;
    assert!(
        said.contains(&format!("exchange `{name}`")) && said.contains("found topic, wanted direct"),
        "{said}"
    );
}

#[tokio::test]
async fn wrong_settings_are_refused_at_the_start_and_never_show_a_password() {
    let good = shared().url();
    let cases = [
        (
            "a password",
            good.replace("guest:guest", "guest:hush"),
            "ACCESS_REFUSED",
        ),
        ("a host", good.replace("%2f", "nowhere"), "nowhere"),
        (
            "no address",
            "amqp://user:hush@:port/".to_owned(),
            "AMQP_URL",
        ),
    ];
    for (description, url, expected) in cases {
        let mut settings = shared().settings(&prefix());
        settings.url = url.into();
        let error = RabbitQueue::start(&settings).await.err();
        let error = error.unwrap_or_else(|| panic!("{description} is accepted"));
        let said = chain(&error);
        assert!(error.is_permanent(), "{description}: {said}");
        assert!(said.contains(expected), "{description}: {said}");
        assert!(!said.contains("hush"), "{description}: {said}");
    }
    for (file, expected) in [
        ("/does/not/exist.pem", "No such file"),
        ("Cargo.toml", "no certificate"),
    ] {
        let mut settings = shared().settings(&prefix());
        settings.ca_file = Some(file.into());
        let said = chain(&RabbitQueue::start(&settings).await.err().unwrap());
        let named = said.contains(&format!("AMQP_CA_FILE `{file}`"));
        assert!(named && said.contains(expected), "{said}");
    }
}

#[tokio::test]
pub(crate) async fn an_unroutable_publish_is_an_error_and_the_route_is_made_anew() {
    let prefix = prefix();
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    let raw = RawClient::at(shared()).await;
    let unbound = raw.channel.queue_unbind(
        work_queue(&prefix).into(),
        format!("{prefix}.events").into(),
        "work".into(),
        FieldTable::default(),
    );
    unbound.await.unwrap();
    let error = queue.publish(message("evt_1")).await.unwrap_err();
    let said = chain(&error);
    assert!(said.contains("no queue for the message"), "{said}");
    let mut tries = 0;
    while queue.publish(message("evt_2")).await.is_err() {
        tries += 1;
        assert!(tries < 100, "the binding did not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut consumer = queue.consumer(Lane::Work);
    assert_eq!(ids(&take(&mut consumer).await), ["evt_2"]);
}

/// Many messages are in flight on one channel when their route goes away; the broker's answers do
/// not say to which of them they belong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_confirmed_in_the_place_of_another_that_was_returned() {
    let prefix = prefix();
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..64)
        .map(|sender| {
            let (queue, stop) = (queue.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut confirmed = Vec::new();
                let mut refused = 0;
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let id = format!("evt_{sender}_{n}");
                    if queue.publish(message(&id)).await.is_ok() {
                        confirmed.push(id);
                    } else {
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                (confirmed, refused)
            })
        })
        .collect();
    let raw = RawClient::at(shared()).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let unbound = raw.channel.queue_unbind(
            work_queue(&prefix).into(),
            format!("{prefix}.events").into(),
            "work".into(),
            FieldTable::default(),
        );
        unbound.await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let mut confirmed = BTreeSet::new();
    let mut refused = 0;
    for sender in senders {
        let (ids, errors) = sender.await.unwrap();
        confirmed.extend(ids);
        refused += errors;
    }
    assert!(
        refused > 0 && confirmed.len() > 100,
        "{refused} {}",
        confirmed.len()
    );
    let mut consumer = queue.consumer(Lane::Work);
    while !confirmed.is_empty() {
        let taken = tokio::time::timeout(Duration::from_secs(10), consumer.next_batch(256)).await;
        let batch = taken
            .unwrap_or_else(|_| panic!("confirmed, and not in the queue: {confirmed:?}"))
            .unwrap();
        for id in ids(&batch) {
            confirmed.remove(&id);
        }
        let done = batch.into_iter().map(|it| (it, Settlement::Ack)).collect();
        consumer.settle(done).await.unwrap();
    }
}

#[tokio::test]
async fn a_retry_whose_queue_is_gone_stays_in_hand_until_it_is_back() {
    let prefix = prefix();
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    queue.publish(message("evt_1")).await.unwrap();
    let mut consumer = queue.consumer(Lane::Work);
    let batch = take(&mut consumer).await;
    let raw = RawClient::at(shared()).await;
    let gone = raw.channel.queue_delete(
        retry_queue(&prefix, 1_000).into(),
        QueueDeleteOptions::default(),
    );
    gone.await.unwrap();
    let retry = Settlement::Retry {
        delay: Duration::from_secs(1),
        error: tollgate::domain::event::EventError {
            code: "test".to_owned(),
            detail: "a test said so".to_owned(),
        },
    };
    let retries = batch.into_iter().map(|it| (it, retry.clone())).collect();
    consumer.settle(retries).await.unwrap();
    let again = take(&mut consumer).await;
    assert_eq!(ids(&again), ["evt_1"]);
    assert_eq!(
        again[0].message.headers().attempt,
        1,
        "it rested in the queue made anew"
    );
}

#[tokio::test]
async fn a_consumer_whose_queue_is_deleted_declares_it_again() {
    let prefix = prefix();
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    let mut consumer = queue.consumer(Lane::Work);
    let raw = RawClient::at(shared()).await;
    let started = Instant::now();
    // A deletion before it consumes would be none of its business.
    while raw.consumers(&work_queue(&prefix)).await == 0 {
        assert!(started.elapsed() < PATIENCE, "it does not consume");
        let next = tokio::time::timeout(Duration::from_millis(100), consumer.next_batch(1)).await;
        assert!(next.is_err(), "there is nothing yet");
    }
    let deleted = raw
        .channel
        .queue_delete(work_queue(&prefix).into(), QueueDeleteOptions::default());
    deleted.await.unwrap();
    consumer.next_batch(1).await.unwrap_err();
    let taking = tokio::spawn(async move { ids(&take(&mut consumer).await) });
    let mut tries = 0;
    while queue.publish(message("evt_1")).await.is_err() {
        tries += 1;
        assert!(tries < 100, "the queue did not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(taking.await.unwrap(), ["evt_1"]);
}

#[tokio::test]
async fn a_foreign_message_is_dropped_and_a_later_version_waits() {
    let prefix = prefix();
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    let raw = RawClient::at(shared()).await;
    let work = work_queue(&prefix);
    raw.publish(&work, BasicProperties::default(), b"hello")
        .await;
    let mut later = FieldTable::default();
    later.insert("version".into(), AMQPValue::LongString("2".into()));
    later.insert("new".into(), AMQPValue::LongString("header".into()));
    let later = BasicProperties::default()
        .with_headers(later)
        .with_message_id("evt_later".into());
    raw.publish(&work, later, b"a later form").await;
    queue.publish(message("evt_1")).await.unwrap();

    let mut consumer = queue.consumer(Lane::Work);
    let batch = take(&mut consumer).await;
    assert_eq!(ids(&batch), ["evt_1"]);
    let done = batch.into_iter().map(|it| (it, Settlement::Ack)).collect();
    consumer.settle(done).await.unwrap();
    let rests = raw.get(&retry_queue(&prefix, 600_000)).await;
    assert_eq!(rests.data, b"a later form");
    let headers = rests.properties.headers().clone().unwrap();
    assert!(headers.contains_key("new"), "{headers:?}");
    drop(consumer);
    // Nothing else is left: neither was the stranger's message put back.
    let mut consumer = queue.consumer(Lane::Work);
    let next = tokio::time::timeout(Duration::from_millis(500), consumer.next_batch(1)).await;
    assert!(next.is_err(), "{next:?}");
}
