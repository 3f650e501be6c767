//! How every queue must behave. A queue is given to these tests as a [`Rig`]; the built-in one is
//! the only one so far.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tollgate::clock::Clock;
use tollgate::domain::event::EventError;
use tollgate::domain::id::{AppSlug, Provider};
use tollgate::domain::time::Timestamp;
use tollgate::provider::Mode;
use tollgate::queue::embedded::{EmbeddedConsumer, EmbeddedQueue};
use tollgate::queue::message::{Headers, HeadersV1};
use tollgate::queue::{Consumer, Delivery, Lane, Message, Publisher, Settlement};
use tollgate::store::Store;

use crate::support::SetClock;

struct Rig {
    clock: Arc<SetClock>,
    store: Store,
    queue: EmbeddedQueue,
    _dir: TempDir,
}

impl Rig {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&dir.path().join("queue.db"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let clock = Arc::new(SetClock::at(1_800_000_000));
        let queue = EmbeddedQueue::new(store.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            clock,
            store,
            queue,
            _dir: dir,
        }
    }

    /// The queue as a new process finds it after the old one was killed.
    fn reborn(&mut self) {
        self.queue = EmbeddedQueue::new(
            self.store.clone(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
        );
    }

    async fn publish(&self, id: &str) {
        self.queue.publish(message(id)).await.unwrap();
    }
}

fn message(id: &str) -> Message {
    let headers = HeadersV1 {
        app: AppSlug::default_app(),
        provider: Provider::Stripe,
        event_id: id.to_owned(),
        event_type: "invoice.paid".to_owned(),
        received_at: Timestamp::from_nanos(5),
        mode: Mode::Any,
        receipt: format!("receipt of {id}"),
        attempt: 0,
        replay: None,
        error: None,
    };
    Message {
        headers: Headers::V1(headers),
        body: format!(r#"{{"id":"{id}","é":"\u00e9"}}"#),
    }
}

fn error() -> EventError {
    EventError {
        code: "test".to_owned(),
        detail: "a test said so".to_owned(),
    }
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|it| it.message.headers().event_id.as_str())
        .collect()
}

async fn take(consumer: &mut EmbeddedConsumer, most: usize) -> Vec<Delivery> {
    let taken = tokio::time::timeout(Duration::from_secs(10), consumer.next_batch(most)).await;
    taken.expect("a message is due").unwrap()
}

/// Whether nothing is due. Short, because nothing is expected to happen.
async fn is_empty(consumer: &mut EmbeddedConsumer) -> bool {
    tokio::time::timeout(Duration::from_millis(100), consumer.next_batch(1))
        .await
        .is_err()
}

async fn settle(consumer: &mut EmbeddedConsumer, batch: Vec<Delivery>, how: &Settlement) {
    let all = batch
        .into_iter()
        .map(|delivery| (delivery, how.clone()))
        .collect();
    consumer.settle(all).await.unwrap();
}

#[tokio::test]
async fn messages_come_whole_and_in_batches_no_larger_than_asked() {
    let rig = Rig::new().await;
    for id in ["evt_1", "evt_2", "evt_3"] {
        rig.publish(id).await;
    }
    let mut consumer = rig.queue.consumer(Lane::Work);
    let first = take(&mut consumer, 2).await;
    assert_eq!(ids(&first), ["evt_1", "evt_2"]);
    assert_eq!(first[0].message, message("evt_1"));
    assert_eq!(ids(&take(&mut consumer, 2).await), ["evt_3"]);
}

#[tokio::test]
async fn what_is_in_hand_is_given_to_nobody_else() {
    let rig = Rig::new().await;
    rig.publish("evt_1").await;
    let (mut one, mut two) = (
        rig.queue.consumer(Lane::Work),
        rig.queue.consumer(Lane::Work),
    );
    let batch = take(&mut one, 10).await;
    assert!(is_empty(&mut two).await);
    settle(&mut one, batch, &Settlement::Ack).await;
    assert!(is_empty(&mut two).await);
}

#[tokio::test]
async fn what_a_dropped_consumer_held_comes_again() {
    let rig = Rig::new().await;
    rig.publish("evt_1").await;
    let mut one = rig.queue.consumer(Lane::Work);
    take(&mut one, 10).await;
    drop(one);
    assert_eq!(
        ids(&take(&mut rig.queue.consumer(Lane::Work), 10).await),
        ["evt_1"]
    );
}

#[tokio::test]
async fn what_a_killed_process_held_comes_again() {
    let mut rig = Rig::new().await;
    rig.publish("evt_1").await;
    let mut before = rig.queue.consumer(Lane::Work);
    take(&mut before, 10).await;
    rig.reborn();
    assert_eq!(
        ids(&take(&mut rig.queue.consumer(Lane::Work), 10).await),
        ["evt_1"]
    );
}

#[tokio::test]
async fn an_acknowledged_message_is_gone_for_good() {
    let mut rig = Rig::new().await;
    rig.publish("evt_1").await;
    let mut consumer = rig.queue.consumer(Lane::Work);
    let batch = take(&mut consumer, 10).await;
    settle(&mut consumer, batch, &Settlement::Ack).await;
    rig.reborn();
    assert!(is_empty(&mut rig.queue.consumer(Lane::Work)).await);
}

#[tokio::test]
async fn a_retry_rests_for_its_delay_and_counts_the_attempt() {
    let rig = Rig::new().await;
    rig.publish("evt_1").await;
    let mut consumer = rig.queue.consumer(Lane::Work);
    let batch = take(&mut consumer, 10).await;
    let retry = Settlement::Retry {
        delay: Duration::from_secs(5),
        error: error(),
    };
    settle(&mut consumer, batch, &retry).await;
    rig.clock.pass(Duration::from_millis(4_999));
    assert!(is_empty(&mut consumer).await, "it came before its time");
    rig.clock.pass(Duration::from_millis(1));
    let again = take(&mut consumer, 10).await;
    assert_eq!(again[0].message.headers().attempt, 1);
    assert_eq!(again[0].message.headers().error, Some(error()));
    assert_eq!(again[0].message.body, message("evt_1").body);
}

#[tokio::test]
async fn a_dead_letter_goes_to_the_lane_failed_with_its_reason() {
    let rig = Rig::new().await;
    rig.publish("evt_1").await;
    let mut consumer = rig.queue.consumer(Lane::Work);
    let batch = take(&mut consumer, 10).await;
    settle(&mut consumer, batch, &Settlement::Fail { error: error() }).await;
    assert!(is_empty(&mut consumer).await);
    let dead = take(&mut rig.queue.consumer(Lane::Failed), 10).await;
    assert_eq!(ids(&dead), ["evt_1"]);
    assert_eq!(dead[0].message.headers().error, Some(error()));
}

#[tokio::test]
async fn a_batch_is_settled_each_message_in_its_own_way() {
    let rig = Rig::new().await;
    for id in ["evt_1", "evt_2", "evt_3"] {
        rig.publish(id).await;
    }
    let mut consumer = rig.queue.consumer(Lane::Work);
    let batch = take(&mut consumer, 10).await;
    let delay = Duration::from_secs(1);
    let ways = [
        Settlement::Ack,
        Settlement::Retry {
            delay,
            error: error(),
        },
        Settlement::Fail { error: error() },
    ];
    consumer
        .settle(batch.into_iter().zip(ways).collect())
        .await
        .unwrap();
    rig.clock.pass(delay);
    assert_eq!(ids(&take(&mut consumer, 10).await), ["evt_2"]);
    assert_eq!(
        ids(&take(&mut rig.queue.consumer(Lane::Failed), 10).await),
        ["evt_3"]
    );
}

#[tokio::test]
async fn a_waiting_consumer_is_woken_by_a_publish() {
    let rig = Rig::new().await;
    let mut consumer = rig.queue.consumer(Lane::Work);
    let waiting = tokio::spawn(async move { take(&mut consumer, 10).await });
    // The consumer is most likely asleep by now; if not, the test is merely weaker.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let published = std::time::Instant::now();
    rig.publish("evt_1").await;
    assert_eq!(ids(&waiting.await.unwrap()), ["evt_1"]);
    // A consumer that polls would be asleep for two seconds.
    assert!(
        published.elapsed() < Duration::from_secs(1),
        "it was not woken"
    );
}

#[tokio::test]
async fn publishes_at_the_same_time_are_all_kept() {
    let rig = Rig::new().await;
    let publishes = (0..300).map(|n| {
        let queue = rig.queue.clone();
        tokio::spawn(async move { queue.publish(message(&format!("evt_{n}"))).await })
    });
    for publish in publishes.collect::<Vec<_>>() {
        publish.await.unwrap().unwrap();
    }
    let taken = take(&mut rig.queue.consumer(Lane::Work), 1_000).await;
    let mut taken = ids(&taken);
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 300);
}

#[tokio::test]
async fn large_messages_come_in_smaller_batches_and_none_is_left_out() {
    let rig = Rig::new().await;
    let large = |number: usize| {
        let mut message = message(&format!("evt_{number:02}"));
        message.body = "x".repeat(1024 * 1024);
        message
    };
    let publishes = (0..20).map(|number| rig.queue.publish(large(number)));
    for result in futures::future::join_all(publishes).await {
        result.unwrap();
    }
    let mut consumer = rig.queue.consumer(Lane::Work);
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < 20 {
        let batch = take(&mut consumer, 256).await;
        sizes.push(batch.len());
        settle(&mut consumer, batch, &Settlement::Ack).await;
    }
    assert_eq!(sizes, [8, 8, 4]);
    assert!(is_empty(&mut consumer).await);
}

#[tokio::test]
async fn messages_of_an_app_go_with_it() {
    let rig = Rig::new().await;
    let mut theirs = message("evt_theirs");
    theirs.headers_mut().app = "acme".parse().unwrap();
    let slug = theirs.headers().app.clone();
    rig.queue.publish(theirs).await.unwrap();
    rig.publish("evt_ours").await;
    let mut tx = rig.store.begin().await.unwrap();
    tx.app_delete(&slug).await.unwrap();
    tx.commit().await.unwrap();

    let mut consumer = rig.queue.consumer(Lane::Work);
    let batch = take(&mut consumer, 10).await;
    assert_eq!(ids(&batch), ["evt_ours"]);
}
