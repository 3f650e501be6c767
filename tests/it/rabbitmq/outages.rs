//! A broker that dies, is cut off, or runs out of memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tollgate::provider::STRIPE;
use tollgate::queue::rabbitmq::RabbitQueue;
use tollgate::queue::{Consumer, Lane, Publisher, Settlement};

use super::rig::{PATIENCE, ids, message, take};
use crate::support::rabbitmq::{Broker, prefix, rough};
use crate::support::stores::Engine;
use crate::support::{TestServer, seconds_from_now, stripe_customer, stripe_event};

async fn server(broker: &Broker) -> TestServer {
    let (url, prefix) = (broker.url(), prefix());
    TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), url.into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix.into());
    })
    .await
}

fn sign_up(n: usize) -> Value {
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    stripe_event(
        &format!("evt_{n}"),
        "customer.created",
        seconds_from_now(-100),
        customer,
    )
}

async fn spooled(server: &TestServer) -> i64 {
    use sqlx::{Connection, Row};
    let url = server.place.url();
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    sqlx::query("SELECT count(*) AS n FROM messages WHERE lane = 'spool'")
        .fetch_one(&mut connection)
        .await
        .unwrap()
        .get("n")
}

async fn until_ready(server: &TestServer) {
    server.until("/readyz", |it| it["status"] == "ready").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_memory_alarm_publishing_times_out_and_webhooks_are_spooled() {
    let broker = rough().await;
    let queue = RabbitQueue::start(&broker.settings(&prefix()))
        .await
        .unwrap();
    let server = server(&broker).await;
    server.deliver(STRIPE.name, &sign_up(0)).await;
    broker.ctl(&["set_vm_memory_high_watermark", "0"]);

    for expected in ["waits for the confirm", "is refused at once"] {
        let began = Instant::now();
        queue.publish(message("evt_1")).await.unwrap_err();
        let took = began.elapsed();
        assert!(
            took < Duration::from_secs(2),
            "the publish that {expected}: {took:?}"
        );
    }
    for n in 1..=3 {
        let began = Instant::now();
        let (status, answer) = server.post(STRIPE.name, &sign_up(n)).await;
        assert_eq!(status, 200, "{answer}");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "a sender waits no longer"
        );
    }
    assert_eq!(spooled(&server).await, 3);
    until_ready(&server).await;

    broker.ctl(&["set_vm_memory_high_watermark", "0.9"]);
    for n in 1..=3 {
        let event = server.outcome(&format!("evt_{n}")).await;
        assert_eq!(event["outcome"], "applied", "{event}");
        // One of them is in the client's buffer as well, and is published when the broker
        // reads again: the same message, and no duplicate.
        assert_eq!(event["duplicates"], 0, "{event}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn after_a_broker_crash_both_sides_go_on_and_nothing_confirmed_is_lost() {
    let mut broker = rough().await;
    let queue = RabbitQueue::start(&broker.settings(&prefix()))
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let so_far = Arc::new(AtomicUsize::new(0));
    let publishing = {
        let (queue, stop) = (queue.clone(), Arc::clone(&stop));
        let so_far = Arc::clone(&so_far);
        tokio::spawn(async move {
            let (mut confirmed, mut refused) = (BTreeSet::new(), 0);
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let id = format!("evt_{n}");
                if queue.publish(message(&id)).await.is_ok() {
                    confirmed.insert(id);
                    so_far.store(confirmed.len(), Ordering::SeqCst);
                } else {
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            (confirmed, refused)
        })
    };
    let consuming = {
        let (mut consumer, stop) = (queue.consumer(Lane::Work), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            while !stop.load(Ordering::SeqCst) {
                let next = consumer.next_batch(8);
                match tokio::time::timeout(Duration::from_millis(100), next).await {
                    Ok(Ok(batch)) => {
                        seen.extend(ids(&batch));
                        let done = batch.into_iter().map(|it| (it, Settlement::Ack)).collect();
                        // After an error nobody knows what was settled; the rest comes again.
                        drop(consumer.settle(done).await);
                    }
                    Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                    Err(_) => {}
                }
            }
            seen
        })
    };
    // However slow the machine is, something is under way when the broker dies.
    let until_confirmed = async |more: usize| {
        let (started, before) = (Instant::now(), so_far.load(Ordering::SeqCst));
        while so_far.load(Ordering::SeqCst) < before + more {
            assert!(started.elapsed() < PATIENCE, "nothing more was confirmed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until_confirmed(40).await;
    for _ in 0..2 {
        tokio::task::block_in_place(|| {
            broker.kill();
            std::thread::sleep(Duration::from_millis(300));
            broker.restart();
        });
        let back = Instant::now();
        while queue.ready().await.is_err() {
            assert!(back.elapsed() < PATIENCE, "the publisher did not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        until_confirmed(40).await;
    }
    stop.store(true, Ordering::SeqCst);
    let (mut confirmed, refused) = publishing.await.unwrap();
    assert!(
        refused > 0 && confirmed.len() > 100,
        "{refused} {}",
        confirmed.len()
    );
    let seen = consuming.await.unwrap();
    assert!(!seen.is_empty());
    confirmed.retain(|id| !seen.contains(id));

    let mut consumer = queue.consumer(Lane::Work);
    let began = Instant::now();
    while !confirmed.is_empty() {
        assert!(
            began.elapsed() < PATIENCE,
            "confirmed and lost: {confirmed:?}"
        );
        let batch = take(&mut consumer).await;
        for id in ids(&batch) {
            confirmed.remove(&id);
        }
        let done = batch.into_iter().map(|it| (it, Settlement::Ack)).collect();
        consumer.settle(done).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_of_a_lost_connection_cannot_settle_on_the_next_one() {
    let broker = rough().await;
    let queue = RabbitQueue::start(&broker.settings(&prefix()))
        .await
        .unwrap();
    let began = Instant::now();
    for id in ["evt_1", "evt_2"] {
        // On a busy machine the first confirms may come late.
        while queue.publish(message(id)).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "nothing is confirmed");
        }
    }
    let mut consumer = queue.consumer(Lane::Work);
    let old = consumer.next_batch(1).await.unwrap();
    broker.ctl(&["close_all_connections", "a test cuts"]);

    let new = take(&mut consumer).await;
    assert!(ids(&new).contains(&"evt_1".to_owned()), "it comes again");
    let settled = old.into_iter().map(|it| (it, Settlement::Ack)).collect();
    consumer.settle(settled).await.unwrap_err();
    drop((new, consumer));

    let mut consumer = queue.consumer(Lane::Work);
    let mut left = BTreeSet::new();
    while left.len() < 2 {
        left.extend(ids(&take(&mut consumer).await));
    }
    // And the publisher has come back too.
    let began = Instant::now();
    while queue.publish(message("evt_3")).await.is_err() {
        assert!(
            began.elapsed() < PATIENCE,
            "the publisher did not come back"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_without_its_broker_and_relays_what_it_spooled() {
    let mut broker = rough().await;
    broker.kill();
    let server = server(&broker).await;
    until_ready(&server).await;
    for n in 0..20 {
        let (status, answer) = server.post(STRIPE.name, &sign_up(n)).await;
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(spooled(&server).await, 20);
    tokio::task::block_in_place(|| broker.restart());
    for n in 0..20 {
        let event = server.outcome(&format!("evt_{n}")).await;
        assert_eq!(event["outcome"], "applied", "{event}");
        assert_eq!(event["duplicates"], 0, "{event}");
    }
    assert_eq!(
        spooled(&server).await,
        0,
        "what is published is gone from the spool"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_broker_and_store_away_a_webhook_is_refused_for_now() {
    let mut broker = rough().await;
    let server = server(&broker).await;
    broker.kill();
    server.server.store().close().await;
    let began = Instant::now();
    loop {
        let (status, answer) = server.post(STRIPE.name, &sign_up(0)).await;
        if status == 503 {
            assert_eq!(answer["code"], "unavailable", "{answer}");
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{status} {answer}");
    }
    let (status, answer) = server.get("/readyz").await;
    assert_eq!(
        (status, &answer["code"]),
        (503, &"not_ready".into()),
        "{answer}"
    );
    tokio::task::block_in_place(|| broker.restart());
    server.stop().await;
}
