//! Events that share a second, come late, or are worked on at the same time.

use futures::future::join3;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tollgate::domain::access::plan::PackageGrant;
use tollgate::domain::billing::assessment::Standing;
use tollgate::domain::customer::flag::FlagKind;
use tollgate::domain::customer::row::Status;
use tollgate::domain::event::EventOutcome;
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::provider::STRIPE;
use tollgate::store::{EventRecord, PlanSource, Store, StoredPlan};

use crate::admin_api::refetches;
use crate::convergence::end_of;
use crate::convergence::rig::{NOW, at, invoice, policy, sub};
use crate::convergence::store::MemoryStore;
use crate::process::message;
use crate::support::stores::{Engine, Place, TestStore, on_both_stores};
use crate::support::{
    PATIENCE, TestServer, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};

const PATH: &str = "/api/v1/customers/by-external/stripe_cus_1";

async fn without_grace(server: &TestServer) {
    let policy = json!({ "suspend_after": "0d" });
    let (code, answer) = server.call("PUT", "/api/v1/policy", Some(policy)).await;
    assert_eq!(code, 200, "{answer}");
}

async fn trap_01_a_second_event_of_one_second_counts(engine: Engine) {
    let server = TestServer::start(engine).await;
    let second = seconds_from_now(-90);
    let created = stripe_subscription("sub_1", "cus_1", "active");
    let created = stripe_event("evt_1", "customer.subscription.created", second, created);
    let updated = stripe_subscription("sub_1", "cus_1", "past_due");
    let mut updated = stripe_event("evt_2", "customer.subscription.updated", second, updated);
    updated["data"]["previous_attributes"] = json!({ "status": "active" });
    without_grace(&server).await;
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

const SECOND: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn now() -> Timestamp {
    Timestamp::from_seconds(SECOND).unwrap()
}

/// A lock on the ledger, at which all workers stop in the middle of their transactions.
struct Barrier(PgConnection);

impl Barrier {
    async fn closed(place: &Place) -> Self {
        let mut connection = PgConnection::connect(&place.url()).await.unwrap();
        let lock = "BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE";
        connection.execute(lock).await.unwrap();
        Self(connection)
    }

    /// Waits until so many transactions wait for a lock, which shows that they overlap, and lets
    /// them go on.
    async fn opens_for(mut self, place: &Place, workers: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let started = std::time::Instant::now();
        while place.count("", waiting).await < workers {
            assert!(started.elapsed() < PATIENCE, "the workers do not overlap");
        }
        self.0.execute("COMMIT").await.unwrap();
    }
}

async fn ledger_row(store: &Store, id: &str) -> EventRecord {
    let mut tx = store.read().await.unwrap();
    let found = tx.event_find(&AppSlug::default_app(), id).await;
    found.unwrap().unwrap()
}

/// Whether the ledger says that an event did this.
fn did(event: &EventRecord, operation: &str) -> bool {
    let mut changes = event.changes.as_array().unwrap().iter();
    changes.any(|change| change["operation"] == operation)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn trap_06_of_two_workers_none_writes_an_older_state_over_a_newer_one() {
    let bench = TestStore::new(Engine::Postgres, now()).await;
    let (one, other) = (bench.store.clone(), bench.place.open().await);
    let grant = PackageGrant {
        package: "acme/tool".to_owned(),
        constraint: "*".to_owned(),
    };
    let plan = StoredPlan {
        name: None,
        provider: STRIPE.name,
        price_id: "price_basic".to_owned(),
        packages: vec![grant],
        licenses: Vec::new(),
        counts: false,
        updates: None,
        source: PlanSource::Api,
        updated_at: now(),
    };
    let app = AppSlug::default_app();
    let mut tx = one.begin_in(&app).await.unwrap();
    tx.plan_put(&app, &[plan]).await.unwrap();
    tx.commit().await.unwrap();
    for round in 0..10 {
        let event = |days, status| {
            let object =
                stripe_subscription(&format!("sub_{round}"), &format!("cus_{round}"), status);
            let id = format!("evt_{round}_{status}");
            let event = stripe_event(
                &id,
                "customer.subscription.updated",
                SECOND - days * DAY,
                object,
            );
            message(&event, &id)
        };
        // Without the newer one the grace would be over.
        let (older, newer) = (event(9, "past_due"), event(8, "active"));
        let (older, newer) = ([&older], [&newer]);
        let barrier = Barrier::closed(&bench.place).await;
        let (a, b, ()) = join3(
            process(&one, &older, now()),
            process(&other, &newer, now()),
            barrier.opens_for(&bench.place, 2),
        )
        .await;
        a.unwrap();
        b.unwrap();
        let customer = format!("stripe_cus_{round}");
        assert_eq!(
            status(&one, &customer).await,
            Status::Active,
            "round {round}"
        );
        let older = ledger_row(&one, &format!("evt_{round}_past_due")).await;
        let newer = ledger_row(&one, &format!("evt_{round}_active")).await;
        assert_eq!(newer.outcome, EventOutcome::Applied, "round {round}");
        let came_first = did(&older, "create");
        assert_ne!(came_first, did(&newer, "create"), "one made the customer");
        let wanted = if came_first {
            EventOutcome::Applied
        } else {
            EventOutcome::Superseded
        };
        assert_eq!(older.outcome, wanted, "round {round}");
        assert_eq!(came_first, did(&newer, "reactivate"), "{:?}", newer.changes);
        if !came_first {
            assert_eq!(older.changes, json!([]), "what was older changed nothing");
        }
    }
}

async fn trap_03_an_answer_has_the_time_of_its_provider(engine: Engine) {
    refetches::a_providers_answer_has_the_time_of_its_own_clock(engine).await;
}

async fn trap_06_an_older_answer_written_last_hides_nothing(engine: Engine) {
    refetches::an_older_answer_that_is_written_last_hides_nothing(engine).await;
}

async fn trap_07_an_update_of_an_unknown_subscription_is_kept(engine: Engine) {
    let server = TestServer::start(engine).await;
    let event = |id: &str, kind: &str, seconds, status| {
        let object = stripe_subscription("sub_1", "cus_1", status);
        let kind = format!("customer.subscription.{kind}");
        stripe_event(id, &kind, seconds_from_now(seconds), object)
    };
    without_grace(&server).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn trap_24_parallel_deliveries_have_one_effect_and_block_nobody() {
    let bench = TestStore::new(Engine::Postgres, now()).await;
    let (one, other) = (bench.store.clone(), bench.place.open().await);
    let sign_up = |n: u32| {
        let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
        stripe_event(
            &format!("evt_{n}"),
            "customer.created",
            SECOND - 9,
            customer,
        )
    };
    let (first, second) = (message(&sign_up(1), "1"), message(&sign_up(1), "2"));
    let (first, second) = ([&first], [&second]);
    let barrier = Barrier::closed(&bench.place).await;
    let (a, b, ()) = join3(
        process(&one, &first, now()),
        process(&other, &second, now()),
        barrier.opens_for(&bench.place, 2),
    )
    .await;
    let mut effects = [a.unwrap(), b.unwrap()].concat();
    effects.sort_by_key(|it| *it == Disposition::Duplicate);
    let applied = Disposition::Done(EventOutcome::Applied);
    assert_eq!(effects, [applied.clone(), Disposition::Duplicate]);
    let event = ledger_row(&one, "evt_1").await;
    assert_eq!(
        (event.outcome, event.duplicates),
        (EventOutcome::Applied, 1)
    );

    // One customer's rows are held for long. Others are worked on meanwhile.
    let mut holder = PgConnection::connect(&bench.place.url()).await.unwrap();
    let hold = "BEGIN; SELECT id FROM customers FOR UPDATE";
    holder.execute(hold).await.unwrap();
    let stranger = message(&sign_up(2), "3");
    let done = tokio::time::timeout(PATIENCE, async { process(&one, &[&stranger], now()).await });
    assert_eq!(done.await.expect("nobody is blocked").unwrap(), [applied]);
    holder.execute("COMMIT").await.unwrap();
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(bench.place.count("", deadlocks).await, 0);
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
    trap_03_an_answer_has_the_time_of_its_provider,
    trap_06_an_older_answer_written_last_hides_nothing,
    trap_07_an_update_of_an_unknown_subscription_is_kept,
    trap_26_a_payment_under_another_address_is_not_lost,
}
