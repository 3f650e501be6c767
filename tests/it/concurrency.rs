//! Several workers and admins on one PostgreSQL server at the same time, each with a store of
//! its own, as processes have. The embedded store has one writer and needs no such tests.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, Row};
use tollgate::domain::customer::profile::ProfileChange;
use tollgate::domain::event::EventOutcome;
use tollgate::domain::id::{AppSlug, CustomerId};
use tollgate::domain::policy::{OnSameEmail, Policy};
use tollgate::domain::precondition::Precondition;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::customers::{self, Act, GotOrCreated, SameEmail};
use tollgate::pipeline::order::Order;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::pipeline::timers::run_due;
use tollgate::provider::STRIPE;
use tollgate::queue::Message;
use tollgate::store::{Actor, CustomerFilter, EventFilter, Store, Window};

use crate::process::message;
use crate::support::stores::{Engine, Place, TestStore};
use crate::support::{
    ADMIN_TOKEN, PATIENCE, TestServer, stripe_customer, stripe_event, stripe_subscription,
};

const NOW: i64 = 1_790_000_000;
const WORKERS: usize = 4;
/// Billing accounts; every fourth shares its address with the one before.
const ACCOUNTS: usize = 24;

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW).unwrap()
}

fn order() -> Order {
    Order {
        app: AppSlug::default_app(),
        actor: Actor::Root,
        now: now(),
        reason: None,
    }
}

async fn test_store() -> TestStore {
    TestStore::new(Engine::Postgres, now()).await
}

async fn set_policy(store: &Store, on_same_email: OnSameEmail) {
    let policy = Policy {
        on_same_email,
        ..Policy::default()
    };
    let app = AppSlug::default_app();
    let mut tx = store.begin_in(&app).await.unwrap();
    tx.app_policy_put(&app, &policy).await.unwrap();
    tx.commit().await.unwrap();
}

/// A generator of numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn shuffle<T>(&mut self, cards: &mut [T]) {
        for last in (1..cards.len()).rev() {
            cards.swap(last, self.roll(last + 1));
        }
    }
}

/// The history of some accounts: sign-ups, subscriptions that fail and recover or end, disputes
/// that are linked to their account by a chain of other ids.
fn history() -> Vec<Value> {
    let mut events = Vec::new();
    for n in 0..ACCOUNTS {
        let (account, charge) = (format!("cus_{n}"), format!("ch_{n}"));
        let shared = if n % 4 == 3 { n - 1 } else { n };
        let customer = stripe_customer(&account, &format!("c{shared}@example.com"));
        let mut add = |name: &str, event_type: &str, at: i64, object: Value| {
            let id = format!("evt_{name}_{n}");
            events.push(stripe_event(&id, event_type, NOW - at, object));
        };
        add("made", "customer.created", 1_000, customer.clone());
        let mut renamed = customer;
        renamed["name"] = json!(format!("Customer {n}"));
        add("renamed", "customer.updated", 900, renamed);
        let end = ["active", "past_due", "canceled", "active"][n % 4];
        for (at, status) in [(800, "active"), (700, "past_due"), (600, end)] {
            let subscription = stripe_subscription(&format!("sub_{n}"), &account, status);
            let event_type = match status {
                "canceled" => "customer.subscription.deleted",
                _ => "customer.subscription.updated",
            };
            add(&format!("{status}_{at}"), event_type, at, subscription);
        }
        let dispute = json!({
            "id": format!("dp_{n}"), "object": "dispute", "charge": charge,
            "payment_intent": format!("pi_{n}"), "status": "needs_response",
        });
        add("dispute", "charge.dispute.created", 500, dispute);
        let charge = json!({
            "id": charge, "object": "charge", "customer": account,
            "payment_intent": format!("pi_{n}"), "status": "succeeded",
        });
        add("charge", "charge.succeeded", 550, charge);
    }
    events
}

/// The history in an order of its own, in batches of its own, as one worker may get it: three of
/// four events, so that each comes to several workers.
fn share(history: &[Value], worker: usize, largest: usize) -> Vec<Vec<Message>> {
    let mut dice = Dice(worker as u64 + 1);
    let mut events: Vec<&Value> = (history.iter().enumerate())
        .filter(|(n, _)| !(n + worker).is_multiple_of(WORKERS))
        .map(|(_, event)| event)
        .collect();
    dice.shuffle(&mut events);
    let mut batches = Vec::new();
    let mut rest = events.as_slice();
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(rest.len().min(1 + dice.roll(largest)));
        let receipt = format!("worker {worker} batch {}", batches.len());
        batches.push(batch.iter().map(|event| message(event, &receipt)).collect());
        rest = after;
    }
    batches
}

async fn work_off(store: &Store, batches: &[Vec<Message>]) -> Vec<Disposition> {
    let mut dispositions = Vec::new();
    for batch in batches {
        let batch: Vec<&Message> = batch.iter().collect();
        dispositions.extend(process(store, &batch, now()).await.unwrap());
    }
    dispositions
}

/// What is shown of the customers, without what is made here.
async fn shown(store: &Store) -> Vec<Value> {
    let window = Window::Page {
        number: 1,
        size: 1_000,
    };
    let mut tx = store.read().await.unwrap();
    let app = AppSlug::default_app();
    let listed = tx
        .customer_list(&app, &CustomerFilter::default(), &window)
        .await
        .unwrap();
    let mut shown: Vec<Value> = (listed.rows.iter())
        .map(|customer| json!(customer.derived))
        .collect();
    shown.sort_by_key(Value::to_string);
    shown
}

/// How often the server had to end a circle of transactions.
async fn deadlocks(place: &Place) -> i64 {
    let mut connection = PgConnection::connect(&place.url()).await.unwrap();
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    sqlx::query(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap()
        .get(0)
}

/// Both ways of living with a shared address.
async fn as_by_one_worker(largest: usize) {
    for on_same_email in [OnSameEmail::Join, OnSameEmail::Flag] {
        as_by_one_worker_under(on_same_email, largest).await;
    }
}

async fn as_by_one_worker_under(on_same_email: OnSameEmail, largest: usize) {
    let history = history();
    let alone = test_store().await;
    set_policy(&alone.store, on_same_email).await;
    let in_order: Vec<Message> = history.iter().map(|it| message(it, "alone")).collect();
    work_off(&alone.store, &[in_order]).await;
    let expected = shown(&alone.store).await;
    let joins = on_same_email == OnSameEmail::Join;
    assert_eq!(expected.len() < ACCOUNTS, joins, "{on_same_email:?}");
    let flagged = json!(expected).to_string().contains("same_email");
    assert_eq!(flagged, !joins, "{on_same_email:?}");

    let bench = test_store().await;
    set_policy(&bench.store, on_same_email).await;
    let workers = join_all((0..WORKERS).map(|worker| {
        let batches = share(&history, worker, largest);
        let (place, history) = (&bench.place, &history);
        async move {
            let store = place.open().await;
            let dispositions = work_off(&store, &batches).await;
            assert!(dispositions.len() < history.len());
            dispositions
        }
    }))
    .await;
    assert_eq!(
        shown(&bench.store).await,
        expected,
        "batches up to {largest}, {on_same_email:?}"
    );
    assert_eq!(deadlocks(&bench.place).await, 0);

    let done = |it: &&Disposition| matches!(it, Disposition::Done(_));
    let effects = workers.iter().flatten().filter(done).count();
    assert_eq!(effects, history.len(), "each event has one effect");
    let deliveries: usize = workers.iter().map(Vec::len).sum();
    let counted = duplicates(&bench.store).await;
    assert_eq!(
        counted,
        deliveries - history.len(),
        "all others are counted"
    );
}

async fn duplicates(store: &Store) -> usize {
    let window = Window::Page {
        number: 1,
        size: 1_000,
    };
    let mut tx = store.read().await.unwrap();
    let app = AppSlug::default_app();
    let events = tx
        .event_list(&app, &EventFilter::default(), &window)
        .await
        .unwrap();
    let sum: i64 = events.rows.iter().map(|event| event.duplicates).sum();
    usize::try_from(sum).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_with_single_events_end_as_one_worker_does() {
    as_by_one_worker(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
pub(crate) async fn workers_with_small_batches_end_as_one_worker_does() {
    as_by_one_worker(12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_with_large_batches_end_as_one_worker_does() {
    as_by_one_worker(160).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
pub(crate) async fn the_same_event_in_many_workers_at_once_has_one_effect() {
    let bench = test_store().await;
    for round in 0..10 {
        let customer = stripe_customer(&format!("cus_{round}"), "one@example.com");
        let event = stripe_event(
            &format!("evt_{round}"),
            "customer.created",
            NOW - 9,
            customer,
        );
        let tries = (0..8).map(|worker| {
            let message = message(&event, &format!("worker {worker}"));
            let store = bench.store.clone();
            async move { process(&store, &[&message], now()).await.unwrap().remove(0) }
        });
        let mut dispositions = join_all(tries).await;
        dispositions.sort_by_key(|it| *it == Disposition::Duplicate);
        let mut expected = vec![Disposition::Duplicate; 8];
        expected[0] = Disposition::Done(EventOutcome::Applied);
        assert_eq!(dispositions, expected, "round {round}");
    }
    assert_eq!(duplicates(&bench.store).await, 70);
}

fn wanted(email: &str) -> ProfileChange {
    serde_json::from_value(json!({ "email": email })).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_concurrent_get_or_create_calls_get_the_same_customer() {
    let bench = test_store().await;
    let calls = (0..50).map(|n| {
        let store = bench.store.clone();
        // Whatever the case.
        let email = if n % 2 == 0 {
            "Ada@example.com"
        } else {
            "ada@EXAMPLE.com"
        };
        async move {
            customers::get_or_create(&store, &order(), &wanted(email))
                .await
                .unwrap()
        }
    });
    let mut ids = BTreeSet::new();
    let mut created = 0;
    for answer in join_all(calls).await {
        match answer {
            GotOrCreated::Got(found) => ids.insert(found.customer.id),
            GotOrCreated::Created(new) => {
                created += 1;
                ids.insert(new.customer.id)
            }
        };
    }
    assert_eq!((created, ids.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_webhook_and_an_admin_creating_one_customer_at_once_create_one() {
    let bench = test_store().await;
    set_policy(&bench.store, OnSameEmail::Join).await;
    for round in 0..10 {
        let email = format!("c{round}@example.com");
        let customer = stripe_customer(&format!("cus_{round}"), &email);
        let event = stripe_event(
            &format!("evt_{round}"),
            "customer.created",
            NOW - 9,
            customer,
        );
        let webhook = message(&event, "1");
        let (_, answer) = tokio::join!(
            async { process(&bench.store, &[&webhook], now()).await.unwrap() },
            async {
                let order = order();
                customers::get_or_create(&bench.store, &order, &wanted(&email)).await
            },
        );
        answer.unwrap();
    }
    assert_eq!(shown(&bench.store).await.len(), 10);
    assert_eq!(deadlocks(&bench.place).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_hold_of_an_admin_is_lost_while_workers_and_timers_are_busy() {
    let bench = test_store().await;
    let history = history();
    let made: Vec<Message> = (history.iter())
        .filter(|event| event["type"] == "customer.created")
        .map(|event| message(event, "first"))
        .collect();
    work_off(&bench.store, &[made]).await;
    let ids = ids(&bench.store).await;

    let workers = join_all((0..WORKERS).map(|worker| {
        let batches = share(&history, worker, 10);
        let store = bench.store.clone();
        async move { work_off(&store, &batches).await }
    }));
    let admins = join_all(ids.iter().map(|id| {
        let store = bench.store.clone();
        async move {
            let suspend = Act::Suspend(Some("fraud".to_owned()));
            let any = Precondition::None;
            customers::act(&store, &order(), id, suspend, &any)
                .await
                .unwrap();
            let name = serde_json::from_value(json!({ "name": format!("Held {id}") })).unwrap();
            customers::update(&store, &order(), id, &name, SameEmail::Refused, &any)
                .await
                .unwrap();
        }
    }));
    let timers = async {
        for day in 0..10 {
            let now = Timestamp::from_seconds(NOW + day * 86_400).unwrap();
            run_due(&bench.store, now).await.unwrap();
        }
    };
    tokio::join!(workers, admins, timers);

    let mut tx = bench.store.read().await.unwrap();
    for id in &ids {
        let customer = tx.customer_find(&AppSlug::default_app(), id).await.unwrap();
        let customer = customer.expect("nobody deleted it");
        assert!(customer.hold.is_some(), "{id} lost its hold");
        assert_eq!(customer.profile.name, Some(format!("Held {id}")));
        assert_eq!(customer.derived.status.as_str(), "suspended", "{id}");
    }
    assert_eq!(deadlocks(&bench.place).await, 0);
}

async fn ids(store: &Store) -> Vec<CustomerId> {
    let window = Window::Walk {
        after: None,
        size: 1_000,
    };
    let mut tx = store.read().await.unwrap();
    let app = AppSlug::default_app();
    let listed = tx
        .customer_list(&app, &CustomerFilter::default(), &window)
        .await
        .unwrap();
    listed
        .rows
        .into_iter()
        .map(|customer| customer.id)
        .collect()
}

/// One pool of connections serves lists, webhooks in the built-in queue, the worker and `/readyz`.
#[tokio::test(flavor = "multi_thread")]
async fn lists_that_take_long_leave_connections_to_all_others() {
    let server = TestServer::start(Engine::Postgres).await;
    let url = server.place.url();
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut locking = PgConnection::connect(&url).await.unwrap();
    let lock = "BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE";
    locking.execute(lock).await.unwrap();
    let list = async || {
        let asked = server
            .client
            .get(format!("{}/api/v1/customers", server.base));
        let answer = asked.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        answer.status().as_u16()
    };
    let lists = join_all((0..20).map(|_| list()));
    let others = async {
        let waiting = "SELECT count(*) FROM pg_locks \
            WHERE NOT granted AND relation = 'customers'::regclass";
        let started = Instant::now();
        while sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(&mut other)
            .await
            .unwrap()
            < 6
        {
            assert!(started.elapsed() < PATIENCE, "nobody waits");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let customer = stripe_customer("cus_1", "one@example.com");
        let event = stripe_event("evt_1", "customer.created", NOW, customer);
        let (taken, _) = server.post(STRIPE.name, &event).await;
        let ready = server.client.get(format!("{}/readyz", server.base));
        let ready = ready.send().await.unwrap().status().as_u16();
        locking.execute("ROLLBACK").await.unwrap();
        (taken, ready)
    };
    let (lists, others) = tokio::join!(lists, others);
    assert_eq!(others, (200, 200));
    assert!(lists.contains(&200), "{lists:?}");
    assert!(lists.iter().all(|it| [200, 503].contains(it)), "{lists:?}");
    server.stop().await;
}
