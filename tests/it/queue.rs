//! How every queue must behave. A queue is given to these cases as a [`Rig`]: the built-in one,
//! whose clock is moved by hand, and RabbitMQ, where the shortest rest really passes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tollgate::clock::Clock;
use tollgate::domain::event::EventError;
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{Mode, STRIPE};
use tollgate::queue::embedded::EmbeddedQueue;
use tollgate::queue::message::{Headers, HeadersV1, Replay};
use tollgate::queue::rabbitmq::{RabbitQueue, RabbitSettings};
use tollgate::queue::{Consumer, Delivery, Depths, Lane, Message, Origin, Publisher, Settlement};
use tollgate::store::Store;

use crate::support::stores::{Engine, Place, on_both_stores};
use crate::support::{PATIENCE, SetClock, rabbitmq};

/// A queue, and what it stands on.
enum Rig {
    Embedded {
        clock: Arc<SetClock>,
        store: Store,
        queue: EmbeddedQueue,
        _dir: TempDir,
    },
    RabbitMq {
        settings: RabbitSettings,
        queue: RabbitQueue,
    },
}

impl Rig {
    async fn embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&dir.path().join("queue.db"))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let clock = Arc::new(SetClock::at(1_800_000_000));
        let queue = EmbeddedQueue::new(store.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        Self::Embedded {
            clock,
            store,
            queue,
            _dir: dir,
        }
    }

    async fn rabbitmq() -> Self {
        let settings = rabbitmq::shared().settings(&rabbitmq::prefix());
        let queue = RabbitQueue::start(&settings).await.unwrap();
        Self::RabbitMq { settings, queue }
    }

    /// The queue as a new process finds it after the old one, with its consumer, was killed.
    async fn reborn(&mut self, consumer: Box<dyn Consumer>) {
        match self {
            Self::Embedded {
                clock,
                store,
                queue,
                ..
            } => {
                // A killed process tidies nothing up.
                std::mem::forget(consumer);
                *queue = EmbeddedQueue::new(store.clone(), Arc::clone(clock) as Arc<dyn Clock>);
            }
            Self::RabbitMq { settings, queue } => {
                // What a killed process leaves to the broker is a connection that ends.
                drop(consumer);
                *queue = RabbitQueue::start(settings).await.unwrap();
            }
        }
    }

    fn publisher(&self) -> Arc<dyn Publisher> {
        match self {
            Self::Embedded { queue, .. } => Arc::new(queue.clone()),
            Self::RabbitMq { queue, .. } => Arc::new(queue.clone()),
        }
    }

    fn consumer(&self, lane: Lane) -> Box<dyn Consumer> {
        match self {
            Self::Embedded { queue, .. } => Box::new(queue.consumer(lane)),
            Self::RabbitMq { queue, .. } => Box::new(queue.consumer(lane)),
        }
    }

    async fn publish(&self, id: &str) {
        self.publisher().publish(message(id)).await.unwrap();
    }

    /// Lets time pass where it stands still; elsewhere it passes by itself.
    fn pass(&self, duration: Duration) {
        if let Self::Embedded { clock, .. } = self {
            clock.pass(duration);
        }
    }

    /// Whether nothing is due. Short, because nothing is expected to happen, and far shorter
    /// than the shortest rest.
    async fn is_empty(&self, consumer: &mut dyn Consumer) -> bool {
        let wait = match self {
            Self::Embedded { .. } => Duration::from_millis(100),
            Self::RabbitMq { .. } => Duration::from_millis(300),
        };
        let waited = tokio::time::timeout(wait, consumer.next_batch(1)).await;
        waited.is_err()
    }
}

/// The shortest rest that there is a queue for.
const REST: Duration = Duration::from_secs(1);

/// Makes of every case a test of every queue.
macro_rules! every_queue {
    ($($case:ident,)*) => {
        mod on_embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(super::Rig::embedded().await).await;
            })*
        }
        mod on_rabbitmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(super::Rig::rabbitmq().await).await;
            })*
        }
    };
}

every_queue![
    messages_come_whole_and_in_batches_no_larger_than_asked,
    a_message_in_hand_is_given_to_no_other_consumer,
    what_a_dropped_consumer_held_comes_again,
    what_a_killed_process_held_comes_again,
    an_acknowledged_message_is_gone_for_good,
    what_is_acknowledged_out_of_order_takes_nothing_else_with_it,
    what_is_acknowledged_out_of_order_does_not_wait_for_what_stays_in_hand,
    a_retry_waits_for_its_delay_and_counts_the_attempt,
    a_dead_letter_goes_to_the_lane_failed_with_its_reason,
    a_batch_is_settled_each_message_in_its_own_way,
    what_is_given_back_comes_again_with_no_attempt_used_up,
    all_headers_survive_a_round_trip,
    a_waiting_consumer_is_woken_by_a_publish,
    publishes_at_the_same_time_are_all_kept,
    large_messages_come_in_smaller_batches_and_none_is_left_out,
    what_lies_where_is_counted,
];

fn message(id: &str) -> Message {
    let headers = HeadersV1 {
        app: AppSlug::default_app(),
        provider: STRIPE.name,
        event_id: id.to_owned(),
        event_type: "invoice.paid".to_owned(),
        received_at: Timestamp::from_nanos(5),
        mode: Mode::Any,
        receipt: format!("receipt of {id}"),
        attempt: 0,
        origin: Origin::new(
            Some("req-1".to_owned()),
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
        replay: None,
        error: None,
    };
    Message {
        headers: Headers::V1(headers),
        body: format!(r#"{{"id":"{id}","é":"\u00e9"}}"#).into(),
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

async fn take(consumer: &mut dyn Consumer, most: usize) -> Vec<Delivery> {
    let taken = tokio::time::timeout(Duration::from_secs(10), consumer.next_batch(most)).await;
    let taken = taken.expect("a message is due").unwrap();
    assert!(taken.len() <= most, "more than asked for");
    taken
}

/// Takes exactly so many; a queue over a network may hand them out bit by bit.
async fn take_all(consumer: &mut dyn Consumer, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(take(consumer, count - all.len()).await);
    }
    all
}

async fn settle(consumer: &mut dyn Consumer, batch: Vec<Delivery>, how: &Settlement) {
    let all = batch
        .into_iter()
        .map(|delivery| (delivery, how.clone()))
        .collect();
    consumer.settle(all).await.unwrap();
}

async fn messages_come_whole_and_in_batches_no_larger_than_asked(rig: Rig) {
    for id in ["evt_1", "evt_2", "evt_3"] {
        rig.publish(id).await;
    }
    let mut consumer = rig.consumer(Lane::Work);
    let first = take_all(&mut *consumer, 2).await;
    assert_eq!(ids(&first), ["evt_1", "evt_2"]);
    assert_eq!(first[0].message, message("evt_1"));
    assert_eq!(ids(&take(&mut *consumer, 2).await), ["evt_3"]);
}

async fn a_message_in_hand_is_given_to_no_other_consumer(rig: Rig) {
    rig.publish("evt_1").await;
    let (mut one, mut two) = (rig.consumer(Lane::Work), rig.consumer(Lane::Work));
    let batch = take(&mut *one, 10).await;
    assert!(rig.is_empty(&mut *two).await);
    settle(&mut *one, batch, &Settlement::Ack).await;
    assert!(rig.is_empty(&mut *two).await);
}

async fn what_a_dropped_consumer_held_comes_again(rig: Rig) {
    rig.publish("evt_1").await;
    let mut one = rig.consumer(Lane::Work);
    take(&mut *one, 10).await;
    drop(one);
    let mut two = rig.consumer(Lane::Work);
    assert_eq!(ids(&take(&mut *two, 10).await), ["evt_1"]);
}

async fn what_a_killed_process_held_comes_again(mut rig: Rig) {
    rig.publish("evt_1").await;
    let mut before = rig.consumer(Lane::Work);
    take(&mut *before, 10).await;
    rig.reborn(before).await;
    let mut after = rig.consumer(Lane::Work);
    assert_eq!(ids(&take(&mut *after, 10).await), ["evt_1"]);
}

async fn an_acknowledged_message_is_gone_for_good(mut rig: Rig) {
    rig.publish("evt_1").await;
    let mut consumer = rig.consumer(Lane::Work);
    let batch = take(&mut *consumer, 10).await;
    settle(&mut *consumer, batch, &Settlement::Ack).await;
    rig.reborn(consumer).await;
    let mut after = rig.consumer(Lane::Work);
    assert!(rig.is_empty(&mut *after).await);
}

async fn what_is_acknowledged_out_of_order_takes_nothing_else_with_it(rig: Rig) {
    for n in 1..=5 {
        rig.publish(&format!("evt_{n}")).await;
    }
    let mut consumer = rig.consumer(Lane::Work);
    let mut batch = take_all(&mut *consumer, 5).await;
    // The second stays in hand, and so does the fourth.
    let (fourth, second) = (batch.remove(3), batch.remove(1));
    settle(&mut *consumer, batch, &Settlement::Ack).await;
    settle(&mut *consumer, vec![fourth], &Settlement::Ack).await;
    consumer.finish().await;
    drop((second, consumer));
    let mut after = rig.consumer(Lane::Work);
    assert_eq!(ids(&take(&mut *after, 10).await), ["evt_2"]);
    assert!(rig.is_empty(&mut *after).await);
}

async fn what_is_acknowledged_out_of_order_does_not_wait_for_what_stays_in_hand(rig: Rig) {
    for n in 1..=3 {
        rig.publish(&format!("evt_{n}")).await;
    }
    let mut consumer = rig.consumer(Lane::Work);
    let mut batch = take_all(&mut *consumer, 3).await;
    let first = batch.remove(0);
    settle(&mut *consumer, batch, &Settlement::Ack).await;
    // It waits for more, and a moment later the others are gone.
    assert!(rig.is_empty(&mut *consumer).await);
    drop((first, consumer));
    let mut after = rig.consumer(Lane::Work);
    assert_eq!(ids(&take(&mut *after, 10).await), ["evt_1"]);
    assert!(rig.is_empty(&mut *after).await);
}

async fn a_retry_waits_for_its_delay_and_counts_the_attempt(rig: Rig) {
    rig.publish("evt_1").await;
    let mut consumer = rig.consumer(Lane::Work);
    let batch = take(&mut *consumer, 10).await;
    let retry = Settlement::Retry {
        delay: REST,
        error: error(),
    };
    settle(&mut *consumer, batch, &retry).await;
    let last = Duration::from_millis(1);
    rig.pass(REST.saturating_sub(last));
    assert!(
        rig.is_empty(&mut *consumer).await,
        "it came before its time"
    );
    rig.pass(last);
    let again = take(&mut *consumer, 10).await;
    assert_eq!(again[0].message.headers().attempt, 1);
    assert_eq!(again[0].message.headers().error, Some(error()));
    assert_eq!(again[0].message.body, message("evt_1").body);
}

async fn a_dead_letter_goes_to_the_lane_failed_with_its_reason(rig: Rig) {
    rig.publish("evt_1").await;
    let mut consumer = rig.consumer(Lane::Work);
    let batch = take(&mut *consumer, 10).await;
    settle(&mut *consumer, batch, &Settlement::Fail { error: error() }).await;
    assert!(rig.is_empty(&mut *consumer).await);
    let mut failed = rig.consumer(Lane::Failed);
    let dead = take(&mut *failed, 10).await;
    assert_eq!(ids(&dead), ["evt_1"]);
    assert_eq!(dead[0].message.headers().error, Some(error()));
}

async fn a_batch_is_settled_each_message_in_its_own_way(rig: Rig) {
    for id in ["evt_1", "evt_2", "evt_3"] {
        rig.publish(id).await;
    }
    let mut consumer = rig.consumer(Lane::Work);
    let batch = take_all(&mut *consumer, 3).await;
    let ways = [
        Settlement::Ack,
        Settlement::Retry {
            delay: REST,
            error: error(),
        },
        Settlement::Fail { error: error() },
    ];
    consumer
        .settle(batch.into_iter().zip(ways).collect())
        .await
        .unwrap();
    rig.pass(REST);
    assert_eq!(ids(&take(&mut *consumer, 10).await), ["evt_2"]);
    let mut failed = rig.consumer(Lane::Failed);
    assert_eq!(ids(&take(&mut *failed, 10).await), ["evt_3"]);
}

async fn what_is_given_back_comes_again_with_no_attempt_used_up(rig: Rig) {
    for id in ["evt_1", "evt_2"] {
        rig.publish(id).await;
    }
    let (mut one, mut two) = (rig.consumer(Lane::Work), rig.consumer(Lane::Work));
    let batch = take_all(&mut *one, 2).await;
    one.give_back(batch).await;
    // The one that gave them back takes nothing, or it would have them again by now.
    let again = take_all(&mut *two, 2).await;
    let mut messages: Vec<_> = again.iter().map(|it| it.message.clone()).collect();
    messages.sort_by_key(|it| it.headers().event_id.clone());
    assert_eq!(messages, [message("evt_1"), message("evt_2")]);
    settle(&mut *two, again, &Settlement::Ack).await;
    rig.publish("evt_3").await;
    drop(two);
    let third = take(&mut *one, 10).await;
    assert_eq!(ids(&third), ["evt_3"], "it takes again when it is asked");
}

async fn all_headers_survive_a_round_trip(rig: Rig) {
    let mut consumer = rig.consumer(Lane::Work);
    let publisher = rig.publisher();
    let replays = [None, Some(false), Some(true)];
    let modes = [Mode::Any, Mode::Live, Mode::Test];
    for (n, (force, mode)) in replays.into_iter().zip(modes).enumerate() {
        let mut sent = message(&format!("evt_{n}"));
        let headers = sent.headers_mut();
        headers.replay = force.map(|force| Replay {
            force,
            tries_before: 7,
        });
        headers.mode = mode;
        headers.attempt = u32::MAX;
        headers.received_at = Timestamp::from_nanos(-1_234_567_890_123_456_789);
        headers.event_type = "x".repeat(100);
        headers.error = Some(EventError {
            code: "code".to_owned(),
            detail: "é: a detail\nof two lines".to_owned(),
        });
        publisher.publish(sent.clone()).await.unwrap();
        let taken = take(&mut *consumer, 1).await;
        assert_eq!(taken[0].message, sent);
        settle(&mut *consumer, taken, &Settlement::Ack).await;
    }
}

async fn a_waiting_consumer_is_woken_by_a_publish(rig: Rig) {
    let mut consumer = rig.consumer(Lane::Work);
    let waiting = tokio::spawn(async move { take(&mut *consumer, 10).await });
    // The consumer is most likely asleep by now; if not, the test is merely weaker.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let published = Instant::now();
    rig.publish("evt_1").await;
    assert_eq!(ids(&waiting.await.unwrap()), ["evt_1"]);
    // A consumer that polls would be asleep for two seconds.
    assert!(
        published.elapsed() < Duration::from_secs(1),
        "it was not woken"
    );
}

async fn publishes_at_the_same_time_are_all_kept(rig: Rig) {
    let publishes = (0..300).map(|n| {
        let publisher = rig.publisher();
        tokio::spawn(async move { publisher.publish(message(&format!("evt_{n}"))).await })
    });
    for publish in publishes.collect::<Vec<_>>() {
        publish.await.unwrap().unwrap();
    }
    let mut consumer = rig.consumer(Lane::Work);
    let taken = take_all(&mut *consumer, 300).await;
    let mut taken = ids(&taken);
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 300);
}

async fn large_messages_come_in_smaller_batches_and_none_is_left_out(rig: Rig) {
    for number in 0..20 {
        let mut large = message(&format!("evt_{number:02}"));
        large.body = "x".repeat(1024 * 1024).into();
        rig.publisher().publish(large).await.unwrap();
    }
    let mut consumer = rig.consumer(Lane::Work);
    let mut taken = 0;
    while taken < 20 {
        let batch = take(&mut *consumer, 256).await;
        assert!(batch.len() <= 8, "{} megabytes at once", batch.len());
        taken += batch.len();
        settle(&mut *consumer, batch, &Settlement::Ack).await;
    }
    assert_eq!(taken, 20);
    assert!(rig.is_empty(&mut *consumer).await);
}

async fn what_lies_where_is_counted(rig: Rig) {
    // Two tries are behind it; after the third it rests for thirty seconds.
    let mut retried = message("evt_retried");
    retried.headers_mut().attempt = 2;
    rig.publisher().publish(retried).await.unwrap();
    rig.publish("evt_failed").await;
    rig.publish("evt_done").await;
    let mut consumer = rig.consumer(Lane::Work);
    let rest = Duration::from_secs(30);
    for delivery in take_all(&mut *consumer, 3).await {
        let how = match delivery.message.headers().event_id.as_str() {
            "evt_retried" => Settlement::Retry {
                delay: rest,
                error: error(),
            },
            "evt_failed" => Settlement::Fail { error: error() },
            _ => Settlement::Ack,
        };
        settle(&mut *consumer, vec![delivery], &how).await;
    }
    drop(consumer);
    rig.publish("evt_4").await;
    rig.publish("evt_5").await;
    let rests = [1, 5, 30, 120, 600, 3600].map(Duration::from_secs);
    let expected = Depths {
        work: 2,
        retry: rests.map(|it| (it, u64::from(it == rest))).to_vec(),
        failed: 1,
    };
    // What the broker sent ahead to the consumer comes back to the queue in its own time.
    let started = Instant::now();
    let depths = loop {
        let depths = rig.publisher().depths().await.unwrap();
        if depths == expected || started.elapsed() > PATIENCE {
            break depths;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(depths, expected);
}

/// The clock was ahead when messages came and when one was to rest, and is set back.
async fn nothing_rests_longer_for_a_clock_that_was_ahead(engine: Engine) {
    let place = Place::new(engine).await;
    let store = place.open().await;
    let now = 1_800_000_000;
    let ahead = [30, 59 * 60, 3_600, 86_400, 400 * 86_400];
    for (ahead, is_restarted) in ahead.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let clock = Arc::new(SetClock::at(now + ahead));
        let queue = EmbeddedQueue::new(store.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        for id in ["evt_waits", "evt_retried", "evt_failed"] {
            queue.publish(message(id)).await.unwrap();
        }
        let mut consumer = queue.consumer(Lane::Work);
        // That of the first try.
        let delay = Duration::from_secs(1);
        for delivery in take_all(&mut consumer, 3).await {
            let how = match delivery.message.headers().event_id.as_str() {
                "evt_retried" => Settlement::Retry {
                    delay,
                    error: error(),
                },
                "evt_failed" => Settlement::Fail { error: error() },
                _ => continue,
            };
            settle(&mut consumer, vec![delivery], &how).await;
        }
        drop(consumer);
        queue.publish(message("evt_waits_too")).await.unwrap();

        // Another process may find it so, which has not seen the clock before.
        let queue = if is_restarted {
            EmbeddedQueue::new(store.clone(), Arc::clone(&clock) as Arc<dyn Clock>)
        } else {
            queue
        };
        clock.set(now);
        let depths = queue.depths().await.unwrap();
        let retries: u64 = depths.retry.iter().map(|(_, count)| count).sum();
        assert_eq!(depths.work + retries, 3, "{ahead}: {depths:?}");
        assert_eq!(depths.failed, 1, "{ahead}: {depths:?}");
        let mut consumer = queue.consumer(Lane::Work);
        let taken = take_all(&mut consumer, 3).await;
        let mut all = ids(&taken);
        all.sort_unstable();
        assert_eq!(
            all,
            ["evt_retried", "evt_waits", "evt_waits_too"],
            "{ahead} {is_restarted}"
        );
        settle(&mut consumer, taken, &Settlement::Ack).await;
        let mut failed = queue.consumer(Lane::Failed);
        let taken = take(&mut failed, 10).await;
        settle(&mut failed, taken, &Settlement::Ack).await;
    }
    store.close().await;
}

on_both_stores![nothing_rests_longer_for_a_clock_that_was_ahead,];

/// Of the built-in queue alone: a broker's messages are not in the store.
#[tokio::test]
async fn messages_of_an_app_go_with_it() {
    let rig = Rig::embedded().await;
    let mut theirs = message("evt_theirs");
    theirs.headers_mut().app = "acme".parse().unwrap();
    let slug = theirs.headers().app.clone();
    rig.publisher().publish(theirs).await.unwrap();
    rig.publish("evt_ours").await;
    let Rig::Embedded { store, .. } = &rig else {
        unreachable!("made two lines above");
    };
    let mut tx = store.begin().await.unwrap();
    tx.app_delete(&slug).await.unwrap();
    tx.commit().await.unwrap();

    let mut consumer = rig.consumer(Lane::Work);
    let batch = take(&mut *consumer, 10).await;
    assert_eq!(ids(&batch), ["evt_ours"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_queue_does_not_keep_what_its_sender_gave_up_on() {
    let rig = Rig::embedded().await;
    let Rig::Embedded { store, .. } = &rig else {
        unreachable!("that is what was made");
    };
    // While another writes, nothing is committed, and publishes wait.
    let writing = store.begin().await.unwrap();
    let publish = |id| {
        let publisher = rig.publisher();
        tokio::spawn(async move { publisher.publish(message(id)).await })
    };
    let first = publish("evt_1");
    // The first is being committed when the second comes.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = publish("evt_2");
    tokio::time::sleep(Duration::from_millis(50)).await;
    second.abort();
    let third = publish("evt_3");
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(writing);
    first.await.unwrap().unwrap();
    third.await.unwrap().unwrap();
    let mut consumer = rig.consumer(Lane::Work);
    let taken = consumer.next_batch(9).await.unwrap();
    let ids: Vec<_> = taken
        .iter()
        .map(|it| &it.message.headers().event_id)
        .collect();
    assert_eq!(ids, ["evt_1", "evt_3"]);
}
