//! A worker that nothing comes to, although something waits for it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapin::options::{QueueDeleteOptions, QueuePurgeOptions};
use tokio_util::sync::CancellationToken;
use tollgate::queue::rabbitmq::RabbitQueue;
use tollgate::queue::{Consumer, Delivery, Lane, Publisher, Settlement};

use super::peer::{Peer, Script, Then};
use super::rig::{PATIENCE, RawClient, ids, message, take, work_queue};
use crate::support::rabbitmq::{Broker, prefix, shared};

fn script(first: usize, count: usize, then: Then) -> Script {
    let events = (first..first + count).map(|n| format!("evt_{n}"));
    Script {
        events: events.collect(),
        then,
    }
}

async fn acknowledge(consumer: &mut dyn Consumer, batch: Vec<Delivery>) -> bool {
    let done = batch.into_iter().map(|it| (it, Settlement::Ack)).collect();
    consumer.settle(done).await.is_ok()
}

/// Takes and acknowledges until an event has come, as the worker does.
async fn until_event(consumer: &mut dyn Consumer, last: &str) -> BTreeSet<String> {
    let started = Instant::now();
    let mut seen = BTreeSet::new();
    while !seen.contains(last) {
        assert!(started.elapsed() < PATIENCE, "{last} did not come");
        let batch = take(consumer).await;
        seen.extend(ids(&batch));
        acknowledge(consumer, batch).await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_ends_a_consumer_behind_its_deliveries_the_next_connection_goes_on() {
    let ends = [
        Then::Cancels,
        Then::ClosesChannel,
        Then::FallsSilent,
        Then::StandsStill,
    ];
    let cases = ends.map(|end| async move {
        for most in [1, 7, 256] {
            let next = script(100, 20, Then::Waits);
            let peer = Peer::start(vec![script(0, 20, end), next]).await;
            let queue = RabbitQueue::start(&peer.settings()).await.unwrap();
            let mut consumer = queue.consumer(Lane::Work);
            let first = consumer.next_batch(most).await;
            if let Ok(batch) = first {
                acknowledge(&mut consumer, batch).await;
            }
            let seen = until_event(&mut consumer, "evt_119").await;
            assert!(seen.contains("evt_100"), "{end:?} {most}: {seen:?}");
            let settled = Instant::now();
            while !peer.acknowledged()[1].contains(&20) {
                assert!(settled.elapsed() < PATIENCE, "{end:?} {most}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(peer.acknowledged().len(), 2, "{end:?} {most}");
        }
    });
    futures::future::join_all(cases).await;
}

/// If the broker cancels a consumer because its queue was deleted, what was sent before exists
/// nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_before_a_cancellation_is_handed_out() {
    let scripts = vec![script(0, 50, Then::Cancels), script(100, 1, Then::Waits)];
    let peer = Peer::start(scripts).await;
    let queue = RabbitQueue::start(&peer.settings()).await.unwrap();
    let mut consumer = queue.consumer(Lane::Work);
    let seen = until_event(&mut consumer, "evt_100").await;
    assert_eq!(seen.len(), 51, "{seen:?}");
}

/// A channel that was opened before a quorum queue had its new leader may refuse everything for as long
/// as it lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_only_refuses_is_replaced() {
    let peer = Peer::start(Vec::new()).await;
    peer.be_leaderless(true);
    let queue = RabbitQueue::start(&peer.settings()).await.unwrap();
    let refused = queue.publish(message("evt_1")).await;
    assert!(refused.is_err(), "{refused:?}");
    peer.be_leaderless(false);
    let began = Instant::now();
    while queue.publish(message("evt_2")).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "the channel is kept");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Publishes all the time; the ids that were confirmed.
fn publish_on(
    queue: &RabbitQueue,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<BTreeSet<String>> {
    let (queue, stop) = (queue.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut confirmed = BTreeSet::new();
        for n in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let id = format!("evt_{n:06}");
            if queue.publish(message(&id)).await.is_ok() {
                confirmed.insert(id);
            } else {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        confirmed
    })
}

/// What a consumer has seen.
#[derive(Default)]
struct Consumed {
    ids: Mutex<BTreeSet<String>>,
}

impl Consumed {
    fn len(&self) -> usize {
        self.ids.lock().unwrap().len()
    }
}

/// Works as slowly as it takes for deliveries to pile up, until the shutdown, which alone
/// interrupts its wait, as in the worker: to give up a connection that is being made and begin
/// another keeps a busy machine from ever having one.
fn consume_on(
    mut consumer: impl Consumer,
    shutdown: &CancellationToken,
) -> (Arc<Consumed>, tokio::task::JoinHandle<()>) {
    let told = Arc::new(Consumed::default());
    let (seen, shutdown) = (Arc::clone(&told), shutdown.clone());
    let task = tokio::spawn(async move {
        loop {
            let next = shutdown.run_until_cancelled(consumer.next_batch(16));
            match next.await {
                Some(Ok(batch)) => {
                    seen.ids.lock().unwrap().extend(ids(&batch));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    acknowledge(&mut consumer, batch).await;
                }
                Some(Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                None => return,
            }
        }
    });
    (told, task)
}

/// Waits for what must happen, however slow the machine is.
async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_work_queue_deleted_five_times_under_load_leaves_no_consumer_standing() {
    let prefix = prefix();
    let queue = RabbitQueue::start(&shared().settings(&prefix))
        .await
        .unwrap();
    let (stop, shutdown) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
    let publishing: Vec<_> = (0..4).map(|_| publish_on(&queue, &stop)).collect();
    let consuming: Vec<_> = (0..2)
        .map(|_| consume_on(queue.consumer(Lane::Work), &shutdown))
        .collect();
    let raw = RawClient::at(shared()).await;
    for round in 1..=5 {
        let before: Vec<_> = consuming.iter().map(|(it, _)| it.len()).collect();
        until("a consumer stands still", || {
            let now = consuming.iter().map(|(it, _)| it.len());
            now.zip(&before).all(|(now, before)| now > *before)
        })
        .await;
        // Enough for hundreds to be sent ahead.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let deleted = raw
            .channel
            .queue_delete(work_queue(&prefix).into(), QueueDeleteOptions::default());
        deleted.await.unwrap();
        // On a busy machine the next one would otherwise find nothing to delete.
        until("nobody noticed", || queue.watch().losses() >= round).await;
    }
    // What lies there now is not what this is about; what is published from here on is.
    stop.store(true, Ordering::SeqCst);
    let mut confirmed = BTreeSet::new();
    for task in publishing {
        confirmed.extend(task.await.unwrap());
    }
    assert!(confirmed.len() > 100, "{}", confirmed.len());
    let purged = raw
        .channel
        .queue_purge(work_queue(&prefix).into(), QueuePurgeOptions::default());
    purged.await.unwrap();
    let (mut marked, started) = (0, Instant::now());
    while marked < 100 {
        let id = format!("evt_marked_{marked}");
        if queue.publish(message(&id)).await.is_ok() {
            marked += 1;
        }
        assert!(started.elapsed() < PATIENCE, "the queue did not come back");
    }
    until("what was published last did not come", || {
        let seen = |id: String| {
            let mut all = consuming.iter();
            all.any(|(it, _)| it.ids.lock().unwrap().contains(&id))
        };
        (0..marked).all(|n| seen(format!("evt_marked_{n}")))
    })
    .await;
    shutdown.cancel();
    for (_, task) in consuming {
        task.await.unwrap();
    }
}

/// Up to RabbitMQ 4.2 the broker closes the channel of a consumer that keeps a message too long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_kept_a_message_too_long_for_the_broker_goes_on() {
    let broker = tokio::task::block_in_place(|| {
        let broker = Broker::start_with("consumer_timeout = 1000\n");
        // How often channels look at the clock; by itself once a minute.
        let often = "application:set_env(rabbit, channel_tick_interval, 500).";
        broker.ctl(&["eval", often]);
        broker
    });
    let queue = RabbitQueue::start(&broker.settings(&prefix()))
        .await
        .unwrap();
    for n in 0..300 {
        queue.publish(message(&format!("evt_{n}"))).await.unwrap();
    }
    let mut consumer = queue.consumer(Lane::Work);
    let kept = take(&mut consumer).await;
    let started = Instant::now();
    // Settling fails once the broker has closed the channel.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut settled = acknowledge(&mut consumer, kept).await;
    while settled && started.elapsed() < PATIENCE {
        let kept = take(&mut consumer).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        settled = acknowledge(&mut consumer, kept).await;
    }
    assert!(!settled, "the broker closed no channel");
    queue.publish(message("evt_last")).await.unwrap();
    until_event(&mut consumer, "evt_last").await;
}

/// A check that made the queue anew would leave the next start nothing to see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_leaves_a_deleted_work_queue_to_the_next_start() {
    let prefix = prefix();
    let settings = shared().settings(&prefix);
    RabbitQueue::check(&settings).await.unwrap();
    let first = RabbitQueue::start(&settings).await.unwrap();
    assert_eq!(first.watch().losses(), 0, "what a check made, nobody lost");
    first.publish(message("evt_1")).await.unwrap();
    drop(first);
    RabbitQueue::check(&settings).await.unwrap();
    let raw = RawClient::at(shared()).await;
    let deleted = raw
        .channel
        .queue_delete(work_queue(&prefix).into(), QueueDeleteOptions::default());
    deleted.await.unwrap();
    for _ in 0..2 {
        let refused = RabbitQueue::check(&settings).await.unwrap_err().to_string();
        let said = format!(
            "the queue `{}` was deleted: webhooks that were",
            work_queue(&prefix)
        );
        assert!(refused.starts_with(&said), "{refused}");
    }
    let second = RabbitQueue::start(&settings).await.unwrap();
    assert_eq!(second.watch().losses(), 1);
    drop(second);
    RabbitQueue::check(&settings).await.unwrap();
}

/// Nothing of ours runs when somebody deletes the queue; the next start is the first to know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_work_queue_deleted_while_nothing_ran_is_missed_at_the_next_start() {
    let prefix = prefix();
    let settings = shared().settings(&prefix);
    let first = RabbitQueue::start(&settings).await.unwrap();
    assert_eq!(first.watch().losses(), 0, "the very first start");
    first.publish(message("evt_1")).await.unwrap();
    drop(first);
    let second = RabbitQueue::start(&settings).await.unwrap();
    assert_eq!(second.watch().losses(), 0, "it is all there");
    drop(second);
    let raw = RawClient::at(shared()).await;
    let deleted = raw
        .channel
        .queue_delete(work_queue(&prefix).into(), QueueDeleteOptions::default());
    deleted.await.unwrap();
    let third = RabbitQueue::start(&settings).await.unwrap();
    assert_eq!(third.watch().losses(), 1);
    third.publish(message("evt_2")).await.unwrap();
    drop(third);
    let fourth = RabbitQueue::start(&settings).await.unwrap();
    assert_eq!(fourth.watch().losses(), 0, "it was reported");
}
