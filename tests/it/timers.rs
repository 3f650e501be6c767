//! Due times: graces that end, failures that last too long, cancellations whose date has come.
//! They stand in the store, so whoever looks next acts on them, once.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate::domain::event::EventOutcome;
use tollgate::domain::id::AppSlug;
use tollgate::domain::policy::Policy;
use tollgate::domain::span::Span;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::pipeline::timers::run_due;
use tollgate::provider::STRIPE;
use tollgate::queue::Message;
use tollgate::store::{CustomerFilter, PlanSource, Store, StoredPlan, Window};

use crate::process::message;
use crate::support::stores::{Engine, Place, TestStore, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

const NOW: i64 = 1_790_000_000;

/// A day in seconds.
const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + second).unwrap()
}

/// A store whose policy has three days of grace, and two weeks until a failure ends.
async fn with_grace(engine: Engine) -> TestStore {
    let test = TestStore::new(engine, at(0)).await;
    let app = AppSlug::default_app();
    let policy = Policy {
        suspend_after: Span::days(3),
        end_after: Span::days(14),
        ..Policy::default()
    };
    // What buys nothing counts nowhere.
    let plan = StoredPlan {
        name: None,
        provider: STRIPE.name,
        price_id: "price_basic".to_owned(),
        packages: Vec::new(),
        licenses: Vec::new(),
        counts: true,
        updates: None,
        source: PlanSource::Api,
        updated_at: at(0),
    };
    let mut tx = test.store.begin_in(&app).await.unwrap();
    tx.app_policy_put(&app, &policy).await.unwrap();
    tx.plan_put(&app, &[plan]).await.unwrap();
    tx.commit().await.unwrap();
    test
}

/// What a subscription event of this second says.
fn says(n: usize, second: i64, status: &str, cancel_at: Option<i64>) -> Value {
    let subscription = format!("sub_{n}");
    let mut object = stripe_subscription(&subscription, &format!("cus_{n}"), status);
    object["cancel_at"] = json!(cancel_at.map(|second| NOW + second));
    object["items"]["data"][0]["current_period_end"] = json!(NOW + 30 * DAY);
    let id = format!("evt_{n}_{second}");
    stripe_event(&id, "customer.subscription.updated", NOW + second, object)
}

async fn happen(store: &Store, events: &[Value], now: Timestamp) {
    for events in events.chunks(100) {
        let messages: Vec<Message> = events.iter().map(|event| message(event, "1")).collect();
        let messages: Vec<&Message> = messages.iter().collect();
        for done in process(store, &messages, now).await.unwrap() {
            assert_eq!(done, Disposition::Done(EventOutcome::Applied));
        }
    }
}

/// The statuses that there are, with their numbers of customers.
async fn count(store: &Store, status: &str) -> u64 {
    let wanted = CustomerFilter {
        status: Some(status.to_owned()),
        ..CustomerFilter::default()
    };
    let window = Window::Page { number: 1, size: 1 };
    let (app, mut tx) = (AppSlug::default_app(), store.read().await.unwrap());
    let listed = tx.customer_list(&app, &wanted, &window).await.unwrap();
    listed.total.unwrap()
}

/// The customers whom timers did this to, one for each entry of the audit.
async fn by_timer(place: &Place, operation: &str) -> Vec<String> {
    let sql = format!(
        "SELECT customer_id FROM audit WHERE actor = 'timer' AND operation = '{operation}'"
    );
    place.texts(&sql).await
}

async fn each_kind_of_due_time_is_acted_on_after_a_restart(engine: Engine) {
    let TestStore { store, place } = with_grace(engine).await;
    let events = [
        says(1, -10, "past_due", None),
        says(2, -10, "active", Some(DAY)),
        says(3, -10, "active", None),
        // The grace of a failure does not outlast the scheduled end.
        says(4, -10, "past_due", Some(2 * DAY)),
    ];
    happen(&store, &events, at(0)).await;
    assert_eq!(count(&store, "active").await, 4);
    store.close().await;
    let steps = [
        (DAY - 1, 0, 0, 0),
        (DAY, 1, 0, 1),
        (2 * DAY, 1, 0, 2),
        (3 * DAY - 10, 1, 1, 2),
        (14 * DAY - 11, 0, 1, 2),
        (14 * DAY - 10, 1, 0, 3),
        // The period of the third ended without any news, which raises a flag.
        (100 * DAY, 1, 0, 3),
    ];
    for (second, acted, suspended, frozen) in steps {
        // Another process each time, which knows nothing but what is stored.
        let store = place.open().await;
        assert_eq!(
            run_due(&store, at(second)).await.unwrap(),
            acted,
            "at {second}"
        );
        assert_eq!(count(&store, "suspended").await, suspended, "at {second}");
        assert_eq!(count(&store, "frozen").await, frozen, "at {second}");
        assert_eq!(
            run_due(&store, at(second)).await.unwrap(),
            0,
            "again at {second}"
        );
        store.close().await;
    }
    assert_eq!(by_timer(&place, "suspend").await.len(), 1);
    assert_eq!(by_timer(&place, "freeze").await.len(), 3);
}

async fn what_happens_before_takes_the_place_of_a_due_time(engine: Engine) {
    let TestStore { store, place } = with_grace(engine).await;
    let before = [
        says(1, -10, "past_due", None),
        says(2, -10, "active", Some(DAY)),
    ];
    happen(&store, &before, at(0)).await;
    let after = [
        says(1, 100, "active", None),
        says(2, 100, "active", Some(9 * DAY)),
    ];
    happen(&store, &after, at(200)).await;
    assert_eq!(run_due(&store, at(8 * DAY)).await.unwrap(), 0);
    assert_eq!(count(&store, "active").await, 2);
    assert_eq!(run_due(&store, at(9 * DAY)).await.unwrap(), 1);
    assert_eq!(count(&store, "frozen").await, 1);
    assert_eq!(by_timer(&place, "suspend").await, [""; 0]);
}

/// More customers than one transaction derives, and three who look at the same moment.
async fn each_due_time_is_acted_on_once_however_many_workers_look(engine: Engine) {
    const CUSTOMERS: usize = 450;
    let TestStore { store, place } = with_grace(engine).await;
    let failing = (0..CUSTOMERS).map(|n| says(n, -10, "past_due", None));
    happen(&store, &failing.collect::<Vec<_>>(), at(0)).await;
    let workers = join_all((0..3).map(async |_| {
        let store = place.of_another_worker(&store).await;
        run_due(&store, at(4 * DAY)).await.unwrap();
        run_due(&store, at(15 * DAY)).await.unwrap();
    }));
    workers.await;
    for operation in ["suspend", "freeze"] {
        let entries = by_timer(&place, operation).await;
        let customers: BTreeSet<&String> = entries.iter().collect();
        assert_eq!(entries.len(), CUSTOMERS, "{operation}");
        assert_eq!(customers.len(), CUSTOMERS, "{operation}");
    }
    assert_eq!(count(&store, "frozen").await, CUSTOMERS as u64);
}

on_both_stores! {
    each_kind_of_due_time_is_acted_on_after_a_restart,
    what_happens_before_takes_the_place_of_a_due_time,
    each_due_time_is_acted_on_once_however_many_workers_look,
}
