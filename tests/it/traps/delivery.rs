//! From the receiver's answer to the effect: what is lost, swallowed or counted twice.

use std::sync::Arc;
use std::time::Duration;

use lapin::types::FieldTable;
use serde_json::{Value, json};
use tollgate::clock::Clock;
use tollgate::domain::event::EventOutcome;
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::pipeline::record::record;
use tollgate::pipeline::replay::{Place, replay_in_store};
use tollgate::provider::STRIPE;
use tollgate::queue::embedded::EmbeddedQueue;
use tollgate::queue::{Consumer, Lane};
use tollgate::store::Actor;

use crate::process::message;
use crate::rabbitmq::rig::RawClient;
use crate::receiver::rig::{self as receiver, Queue, Rig, small_limits};
use crate::support::rabbitmq::{Broker, prefix, rough, shared};
use crate::support::stores::{Engine, TestStore, on_both_stores};
use crate::support::{
    PATIENCE, SetClock, TestServer, seconds_from_now, stripe_customer, stripe_event,
    stripe_subscription,
};

const NOW: i64 = 1_790_000_000;
const DONE: Disposition = Disposition::Done(EventOutcome::Applied);

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW).unwrap()
}

fn sign_up() -> Value {
    let customer = stripe_customer("cus_1", "one@example.com");
    stripe_event("evt_1", "customer.created", NOW - 100, customer)
}

fn subscription(id: &str, second: i64, status: &str) -> Value {
    let object = stripe_subscription("sub_1", "cus_1", status);
    stripe_event(id, "customer.subscription.updated", NOW + second, object)
}

async fn trap_04_what_failed_halfway_leaves_no_mark_that_it_was_done(engine: Engine) {
    let TestStore { store, place } = TestStore::new(engine, now()).await;
    let first = message(&subscription("evt_1", -90, "active"), "1");
    assert_eq!(process(&store, &[&first], now()).await.unwrap(), [DONE]);
    place
        .run(
            "UPDATE subscriptions SET kept = 'broken:' || kept",
            "UPDATE subscriptions SET kept = to_jsonb(kept::text)",
        )
        .await;
    let second = message(&subscription("evt_2", -80, "past_due"), "2");
    process(&store, &[&second], now()).await.unwrap_err();
    let mut tx = store.read().await.unwrap();
    let event = tx
        .event_find(&AppSlug::default_app(), "evt_2")
        .await
        .unwrap();
    assert!(event.is_none(), "the ledger says that it was done");
    drop(tx);
    place
        .run(
            "UPDATE subscriptions SET kept = substr(kept, 8)",
            "UPDATE subscriptions SET kept = (kept #>> '{}')::jsonb",
        )
        .await;
    assert_eq!(process(&store, &[&second], now()).await.unwrap(), [DONE]);
}

async fn trap_05_a_replay_is_no_duplicate(engine: Engine) {
    let TestStore { store, place } = TestStore::new(engine, now()).await;
    let event = subscription("evt_1", -90, "active");
    let first = message(&event, "1");
    assert_eq!(process(&store, &[&first], now()).await.unwrap(), [DONE]);
    let lost = "DELETE FROM subscriptions";
    place.run(lost, lost).await;
    let kept = "SELECT count(*) FROM subscriptions";
    let again = message(&event, "2");
    let dispositions = process(&store, &[&again], now()).await.unwrap();
    assert_eq!(dispositions, [Disposition::Duplicate]);
    assert_eq!(
        place.count(kept, kept).await,
        0,
        "a duplicate has no effect"
    );

    let order = Order {
        app: AppSlug::default_app(),
        actor: Actor::Root,
        now: now(),
        reason: None,
    };
    replay_in_store(&store, Place::BuiltInQueue, &order, "evt_1", true)
        .await
        .unwrap();
    let clock = Arc::new(SetClock::at(NOW + 60)) as Arc<dyn Clock>;
    let mut consumer = EmbeddedQueue::new(store.clone(), clock).consumer(Lane::Work);
    let taken = tokio::time::timeout(PATIENCE, consumer.next_batch(8)).await;
    let taken = taken.expect("the replay is ordered").unwrap();
    let replay = &taken[0].message;
    assert_eq!(process(&store, &[replay], now()).await.unwrap(), [DONE]);
    assert_eq!(place.count(kept, kept).await, 1, "the replay has one");
    let dispositions = process(&store, &[replay], now()).await.unwrap();
    assert_eq!(dispositions, [Disposition::Redelivered], "but only once");
    let mut tx = store.read().await.unwrap();
    let found = tx.event_find(&AppSlug::default_app(), "evt_1").await;
    assert_eq!(found.unwrap().unwrap().duplicates, 1);
}

#[tokio::test]
async fn trap_11_what_is_not_confirmed_is_not_answered_with_success() {
    let rig = Rig::with(small_limits(), &[]).await;
    let body = receiver::stripe_event("evt_1");
    for (description, queue) in [("refused", Queue::Refuses), ("hanging", Queue::Hangs)] {
        rig.set_queue(queue);
        assert_eq!(rig.post_good(&body).await.status, 503, "{description}");
        assert_eq!(rig.published().len(), 0, "{description}");
    }
    rig.set_queue(Queue::Keeps);
    assert_eq!(rig.post_good(&body).await.status, 200);
    let published = rig.published();
    assert_eq!(published.len(), 1);
    assert_eq!(*published[0].body.as_bytes(), body[..], "as it was signed");
    let headers = published[0].headers();
    assert_eq!(headers.app, AppSlug::default_app());
    assert_eq!(
        (
            headers.provider,
            headers.event_id.as_str(),
            headers.event_type.as_str()
        ),
        (STRIPE.name, "evt_1", "customer.created")
    );
    assert_eq!(headers.received_at, receiver::at(receiver::NOW));
}

/// A server with a broker.
async fn server(broker: &Broker, prefix: &str) -> TestServer {
    TestServer::start_with(Engine::Postgres, |environment| {
        environment.insert("AMQP_URL".into(), broker.url().into());
        environment.insert("TOLLGATE_AMQP_PREFIX".into(), prefix.into());
    })
    .await
}

fn sign_up_of(n: u32) -> Value {
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    let second = seconds_from_now(-100);
    stripe_event(&format!("evt_{n}"), "customer.created", second, customer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_12_what_no_queue_takes_is_an_error() {
    let prefix = prefix();
    let server = server(shared(), &prefix).await;
    server.deliver(STRIPE.name, &sign_up_of(1)).await;
    let raw = RawClient::at(shared()).await;
    let unbound = raw.channel.queue_unbind(
        format!("{prefix}.work").into(),
        format!("{prefix}.events").into(),
        "work".into(),
        FieldTable::default(),
    );
    unbound.await.unwrap();
    // The broker takes the message and drops it. Success may only be answered because the webhook
    // is kept elsewhere, and comes from there.
    let (status, answer) = server.post(STRIPE.name, &sign_up_of(2)).await;
    assert_eq!(status, 200, "{answer}");
    let event = server.outcome("evt_2").await;
    assert_eq!(
        (&event["outcome"], &event["duplicates"]),
        (&json!("applied"), &json!(0))
    );
    server.stop().await;
}

async fn trap_14_a_duplicate_after_a_year_is_a_duplicate(engine: Engine) {
    let TestStore {
        store,
        place: _place,
    } = TestStore::new(engine, now()).await;
    let first = message(&sign_up(), "1");
    assert_eq!(process(&store, &[&first], now()).await.unwrap(), [DONE]);
    let next_year = now().plus(Duration::from_hours(400 * 24));
    let again = message(&sign_up(), "2");
    let dispositions = process(&store, &[&again], next_year).await.unwrap();
    assert_eq!(dispositions, [Disposition::Duplicate]);
}

async fn trap_23_an_ordered_replay_survives_a_restart(engine: Engine) {
    let TestStore { store, place } = TestStore::new(engine, now()).await;
    let broken = stripe_event(
        "evt_1",
        "customer.created",
        NOW - 100,
        json!({ "object": "customer" }),
    );
    let mut dead = message(&broken, "1");
    let Disposition::Final(error) = process(&store, &[&dead], now()).await.unwrap().remove(0)
    else {
        panic!("a customer without an id")
    };
    dead.headers_mut().attempt = 1;
    dead.headers_mut().error = Some(error);
    record(&store, &dead, now()).await.unwrap();
    let order = Order {
        app: AppSlug::default_app(),
        actor: Actor::Root,
        now: now(),
        reason: None,
    };
    replay_in_store(&store, Place::BuiltInQueue, &order, "evt_1", false)
        .await
        .unwrap();
    store.close().await;

    let store = place.open().await;
    let clock = Arc::new(SetClock::at(NOW + 60)) as Arc<dyn Clock>;
    let mut consumer = EmbeddedQueue::new(store.clone(), clock).consumer(Lane::Work);
    let taken = tokio::time::timeout(Duration::from_secs(10), consumer.next_batch(8)).await;
    let taken = taken.expect("the order is still there").unwrap();
    let headers = taken[0].message.headers();
    assert_eq!((taken.len(), headers.event_id.as_str()), (1, "evt_1"));
    assert!(headers.replay.is_some());
    let dispositions = process(&store, &[&taken[0].message], now()).await.unwrap();
    assert!(
        matches!(dispositions[..], [Disposition::Final(_)]),
        "it was tried: {dispositions:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_31_publishing_goes_on_after_the_broker_was_away() {
    let mut broker = rough().await;
    let server = server(&broker, &prefix()).await;
    server.deliver(STRIPE.name, &sign_up_of(1)).await;
    tokio::task::block_in_place(|| broker.kill());
    let (status, answer) = server.post(STRIPE.name, &sign_up_of(2)).await;
    assert_eq!(status, 200, "it is spooled: {answer}");
    tokio::task::block_in_place(|| broker.restart());
    let ready = |it: &Value| it["status"] == "ready";
    server.until("/readyz", ready).await;
    let (status, answer) = server.post(STRIPE.name, &sign_up_of(3)).await;
    assert_eq!(status, 200, "{answer}");
    for id in ["evt_2", "evt_3"] {
        let event = server.outcome(id).await;
        assert_eq!(
            (&event["outcome"], &event["duplicates"]),
            (&json!("applied"), &json!(0))
        );
    }
    server.stop().await;
}

async fn trap_32_only_what_somebody_can_act_on_is_failed(engine: Engine) {
    crate::flow::an_event_that_cannot_be_understood_is_failed_with_the_fields_path(engine).await;
    let TestStore {
        store,
        place: _place,
    } = TestStore::new(engine, now()).await;
    let ignored = [
        (
            "a type that nobody reads",
            "plan.created",
            json!({ "id": "plan_1" }),
        ),
        (
            "a draft without an id",
            "invoice.upcoming",
            json!({ "object": "invoice" }),
        ),
    ];
    for (n, (description, kind, object)) in ignored.into_iter().enumerate() {
        let event = stripe_event(&format!("evt_{n}"), kind, NOW - 9, object);
        let dispositions = process(&store, &[&message(&event, "1")], now())
            .await
            .unwrap();
        let ignored = Disposition::Done(EventOutcome::Ignored);
        assert_eq!(dispositions, [ignored], "{description}");
    }
    let sale = stripe_event("evt_sale", "invoice.paid", NOW - 9, json!({ "id": "in_1" }));
    let dispositions = process(&store, &[&message(&sale, "1")], now()).await;
    let unchanged = Disposition::Done(EventOutcome::Unchanged);
    assert_eq!(dispositions.unwrap(), [unchanged], "a payment of nobody");
}

on_both_stores! {
    trap_04_what_failed_halfway_leaves_no_mark_that_it_was_done,
    trap_05_a_replay_is_no_duplicate,
    trap_14_a_duplicate_after_a_year_is_a_duplicate,
    trap_23_an_ordered_replay_survives_a_restart,
    trap_32_only_what_somebody_can_act_on_is_failed,
}
