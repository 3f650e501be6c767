//! From the receiver's answer to the effect: what is lost, swallowed or counted twice.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate::clock::Clock;
use tollgate::domain::event::EventOutcome;
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::pipeline::record::record;
use tollgate::pipeline::replay::{Place, replay_in_store};
use tollgate::queue::embedded::EmbeddedQueue;
use tollgate::queue::{Consumer, Lane};
use tollgate::store::Actor;

use crate::process::message;
use crate::support::stores::{Engine, TestStore, on_both_stores};
use crate::support::{SetClock, stripe_customer, stripe_event, stripe_subscription};

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
    crate::process::a_replay_of_an_applied_event_needs_force_and_keeps_what_was_changed(engine)
        .await;
    crate::admin_api::events::an_event_is_replayed_under_a_receipt_of_its_own(engine).await;
}

#[test]
fn trap_11_what_is_not_confirmed_is_not_answered_with_success() {
    crate::receiver::outages::what_cannot_be_made_durable_is_not_acknowledged();
    crate::receiver::a_signed_webhook_is_handed_over_unchanged_and_answered_with_200();
}

#[test]
fn trap_12_what_no_queue_takes_is_an_error() {
    crate::rabbitmq::topology::an_unroutable_publish_is_an_error_and_the_route_is_made_anew();
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

#[test]
fn trap_31_publishing_goes_on_after_the_broker_was_away() {
    crate::rabbitmq::outages::after_a_broker_crash_both_sides_go_on_and_nothing_confirmed_is_lost();
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
        (
            "a sale without a subscription",
            "invoice.paid",
            json!({ "id": "in_1" }),
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
}

on_both_stores! {
    trap_04_what_failed_halfway_leaves_no_mark_that_it_was_done,
    trap_05_a_replay_is_no_duplicate,
    trap_14_a_duplicate_after_a_year_is_a_duplicate,
    trap_23_an_ordered_replay_survives_a_restart,
    trap_32_only_what_somebody_can_act_on_is_failed,
}
