//! Hands that do on the broker what an operator, or a raw, would.

use std::time::{Duration, Instant};

use lapin::options::{
    BasicGetOptions, BasicNackOptions, BasicPublishOptions, ExchangeDeleteOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{Mode, STRIPE};
use tollgate::queue::message::{Headers, HeadersV1};
use tollgate::queue::{Consumer, Delivery, Message};

use crate::support::rabbitmq::Broker;

/// How long a test waits for what happens in the background.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The queue of the lane `work`.
pub(super) fn work_queue(prefix: &str) -> String {
    format!("{prefix}.work.2")
}

/// The queue of the lane `failed`.
pub(super) fn failed_queue(prefix: &str) -> String {
    format!("{prefix}.failed.2")
}

/// The queue for a delay of so many milliseconds.
pub(super) fn retry_queue(prefix: &str, delay: u32) -> String {
    format!("{prefix}.retry.{delay}.2")
}

/// A channel beside those of the program. The connection lives as long as it is kept.
pub(crate) struct RawClient {
    pub(crate) channel: Channel,
    _connection: Connection,
}

impl RawClient {
    pub(crate) async fn at(broker: &Broker) -> Self {
        let connection = Connection::connect(&broker.url(), ConnectionProperties::default())
            .await
            .unwrap();
        Self {
            channel: connection.create_channel().await.unwrap(),
            _connection: connection,
        }
    }

    pub(crate) async fn publish(&self, queue: &str, properties: BasicProperties, body: &[u8]) {
        let options = BasicPublishOptions::default();
        self.channel
            .basic_publish("".into(), queue.into(), options, body, properties)
            .await
            .unwrap()
            .await
            .unwrap();
    }

    /// The number of consumers of a queue.
    pub(crate) async fn consumers(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let seen = self
            .channel
            .queue_declare(queue.into(), passive, FieldTable::default());
        seen.await.unwrap().consumer_count()
    }

    /// Makes the queues of a prefix nobody's, for a server with another store.
    pub(crate) async fn remove_owner(&self, prefix: &str) {
        let exchange = format!("{prefix}.installation");
        self.channel
            .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
            .await
            .unwrap();
    }

    /// Takes a message out of a queue, whenever one comes.
    pub(crate) async fn get(&self, queue: &str) -> lapin::message::Delivery {
        let started = Instant::now();
        loop {
            let got = self
                .channel
                .basic_get(queue.into(), BasicGetOptions::default());
            if let Some(got) = got.await.unwrap() {
                return got.delivery;
            }
            assert!(started.elapsed() < PATIENCE, "nothing came to {queue}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Takes everything that is in a queue, and gives it back, so often.
    pub(crate) async fn crash(&self, queue: &str, messages: usize, times: usize) {
        for _ in 0..times {
            let mut last = 0;
            for _ in 0..messages {
                last = self.get(queue).await.delivery_tag;
            }
            let all = BasicNackOptions {
                multiple: true,
                requeue: true,
            };
            self.channel.basic_nack(last, all).await.unwrap();
        }
    }
}

pub(crate) fn message(id: &str) -> Message {
    let headers = HeadersV1 {
        app: AppSlug::default_app(),
        provider: STRIPE.name,
        event_id: id.to_owned(),
        event_type: "invoice.paid".to_owned(),
        received_at: Timestamp::from_nanos(5),
        mode: Mode::Any,
        receipt: format!("receipt of {id}"),
        attempt: 0,
        origin: tollgate::queue::Origin::default(),
        replay: None,
        error: None,
    };
    Message {
        headers: Headers::V1(headers),
        body: format!(r#"{{"id":"{id}"}}"#).into(),
    }
}

pub(crate) fn ids(deliveries: &[Delivery]) -> Vec<String> {
    deliveries
        .iter()
        .map(|it| it.message.headers().event_id.clone())
        .collect()
}

/// Takes a batch as the worker does: a queue that does not answer is asked again.
pub(crate) async fn take(consumer: &mut dyn Consumer) -> Vec<Delivery> {
    let started = Instant::now();
    loop {
        let left = PATIENCE.saturating_sub(started.elapsed());
        let next = tokio::time::timeout(left, consumer.next_batch(256)).await;
        match next.expect("a message is due") {
            Ok(batch) => return batch,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
