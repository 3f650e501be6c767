//! Events that share a second, come late, or are worked on at the same time.

use futures::future::join;
use serde_json::json;
use tollgate::domain::billing::assessment::Standing;
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::Status;
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::process::process;
use tollgate::provider::STRIPE;
use tollgate::store::Store;

use crate::convergence::end_of;
use crate::convergence::rig::{NOW, at, invoice, policy, sub};
use crate::convergence::store::MemoryStore;
use crate::process::message;
use crate::support::stores::{Engine, TestStore, on_both_stores};
use crate::support::{
    TestServer, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};

const PATH: &str = "/api/v1/customers/by-external/stripe_cus_1";

async fn trap_01_a_second_event_of_one_second_counts(engine: Engine) {
    let server = TestServer::start(engine).await;
    let second = seconds_from_now(-90);
    let created = stripe_subscription("sub_1", "cus_1", "active");
    let created = stripe_event("evt_1", "customer.subscription.created", second, created);
    let updated = stripe_subscription("sub_1", "cus_1", "past_due");
    let mut updated = stripe_event("evt_2", "customer.subscription.updated", second, updated);
    updated["data"]["previous_attributes"] = json!({ "status": "active" });
    server.deliver(STRIPE.name, &created).await;
    server.deliver(STRIPE.name, &updated).await;
    assert_eq!(server.get(PATH).await.1["status"], "suspended");
    server.stop().await;
}

#[test]
fn trap_02_no_arrival_decides_a_tie() {
    // `end_of` delivers in every order, and fails if one of them ends differently.
    let end = end_of(&[sub("active").at(10), sub("past_due").at(10)]);
    assert_eq!(end.assessment("sub_1").standing, Standing::Failing);
    let flags: Vec<FlagKind> = end.flags("cus_1").iter().map(|flag| flag.kind).collect();
    assert_eq!(flags, [FlagKind::Ambiguous]);
}

#[test]
fn trap_03_the_local_clock_does_not_make_an_older_state_newer() {
    let newer_first = [(sub("past_due").at(20), 30), (sub("active").at(10), 700)];
    let owes = sub("past_due").latest("in_1").at(20);
    let failure_first = [(owes, 30), (invoice("in_1").paid(10), 700)];
    for events in [newer_first, failure_first] {
        let mut store = MemoryStore::new(policy(), true);
        store.batch(&[sub("active").at(5)], at(25));
        for (event, received) in events {
            store.batch(&[event], at(received));
        }
        let end = store.end(at(NOW));
        assert_eq!(end.of("cus_1").status, Status::Suspended);
        assert_eq!(
            end.of("cus_1").failing_since,
            Some(at(20)),
            "the provider's time"
        );
    }
}

async fn status(store: &Store, external_id: &str) -> Status {
    let mut tx = store.read().await.unwrap();
    let app = AppSlug::default_app();
    let customer = tx.customer_find_by_external(&app, external_id, &[]);
    customer.await.unwrap().unwrap().derived.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn trap_06_of_two_workers_none_writes_an_older_state_over_a_newer_one() {
    const SECOND: i64 = 1_790_000_000;
    let now = Timestamp::from_seconds(SECOND).unwrap();
    let bench = TestStore::new(Engine::Postgres, now).await;
    let (one, other) = (bench.store.clone(), bench.place.open().await);
    for round in 0..20 {
        let event = |second, status| {
            let object =
                stripe_subscription(&format!("sub_{round}"), &format!("cus_{round}"), status);
            let id = format!("evt_{round}_{status}");
            let event = stripe_event(
                &id,
                "customer.subscription.updated",
                SECOND - second,
                object,
            );
            message(&event, &id)
        };
        let (older, newer) = (event(90, "past_due"), event(80, "active"));
        let (older, newer) = ([&older], [&newer]);
        let (a, b) = join(process(&one, &older, now), process(&other, &newer, now)).await;
        a.unwrap();
        b.unwrap();
        let customer = format!("stripe_cus_{round}");
        assert_eq!(
            status(&one, &customer).await,
            Status::Active,
            "round {round}"
        );
    }
}

async fn trap_07_an_update_of_an_unknown_subscription_is_kept(engine: Engine) {
    let server = TestServer::start(engine).await;
    let event = |id: &str, kind: &str, seconds, status| {
        let object = stripe_subscription("sub_1", "cus_1", status);
        let kind = format!("customer.subscription.{kind}");
        stripe_event(id, &kind, seconds_from_now(seconds), object)
    };
    server
        .deliver(STRIPE.name, &event("evt_2", "updated", -80, "past_due"))
        .await;
    let late = server
        .deliver(STRIPE.name, &event("evt_1", "created", -90, "active"))
        .await;
    assert_eq!(late["outcome"], "superseded", "{late}");
    assert_eq!(server.get(PATH).await.1["status"], "suspended");
    server.stop().await;
}

#[test]
fn trap_24_parallel_deliveries_have_one_effect_and_block_nobody() {
    crate::concurrency::the_same_event_in_many_workers_at_once_has_one_effect();
    crate::concurrency::workers_with_small_batches_end_as_one_worker_does();
}

async fn trap_26_a_payment_under_another_address_is_not_lost(engine: Engine) {
    let server = TestServer::start(engine).await;
    let known = json!({ "name": "Ann", "email": "ann@example.com" });
    let (code, known) = server.call("POST", "/api/v1/customers", Some(known)).await;
    assert_eq!(code, 201, "{known}");
    let customer = stripe_customer("cus_1", "accounts@example.com");
    let signed_up = stripe_event("evt_1", "customer.created", seconds_from_now(-90), customer);
    let object = stripe_subscription("sub_1", "cus_1", "active");
    let kind = "customer.subscription.created";
    let subscribed = stripe_event("evt_2", kind, seconds_from_now(-89), object);
    for event in [signed_up, subscribed] {
        let event = server.deliver(STRIPE.name, &event).await;
        assert_eq!(event["outcome"], "applied", "{event}");
    }
    let (_, payer) = server.get(PATH).await;
    assert_eq!(payer["email"], "accounts@example.com");
    assert_ne!(payer["id"], known["id"], "nobody is merged by a guess");
    let packages = format!(
        "/api/v1/customers/{}/packages",
        payer["id"].as_str().unwrap()
    );
    let (_, packages) = server.get(&packages).await;
    assert_eq!(packages["data"][0]["package"], "acme/tool", "{packages}");
    server.stop().await;
}

on_both_stores! {
    trap_01_a_second_event_of_one_second_counts,
    trap_07_an_update_of_an_unknown_subscription_is_kept,
    trap_26_a_payment_under_another_address_is_not_lost,
}
