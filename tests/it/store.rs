//! What both stores keep and find, where engines like to differ.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use tollgate::domain::customer::profile::ProfileChange;
use tollgate::domain::event::EventOutcome;
use tollgate::domain::id::AppSlug;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::customers::{self, Created, SameEmail};
use tollgate::pipeline::order::Order;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::pipeline::timers::run_due;
use tollgate::provider::{PADDLE, other_spellings};
use tollgate::queue::Message;
use tollgate::store::{Actor, CustomerFilter, EventRecord, Store, Window};

use crate::process::message;
use crate::support::stores::{Engine, TestStore, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

const NOW: i64 = 1_790_000_000;

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW).unwrap()
}

fn app() -> AppSlug {
    AppSlug::default_app()
}

async fn apply(store: &Store, message: Message, now: Timestamp) {
    let done = process(store, &[&message], now).await.unwrap();
    assert_eq!(done, [Disposition::Done(EventOutcome::Applied)]);
}

async fn create(store: &Store, profile: Value) -> Created {
    let profile: ProfileChange = serde_json::from_value(profile).unwrap();
    let order = Order {
        app: app(),
        actor: Actor::Root,
        now: now(),
        reason: None,
    };
    customers::create(store, &order, &profile, SameEmail::Refused)
        .await
        .unwrap()
}

async fn event(store: &Store, id: &str) -> EventRecord {
    let mut tx = store.read().await.unwrap();
    tx.event_find(&app(), id).await.unwrap().unwrap()
}

/// Names of the customers that a search finds.
async fn found(store: &Store, wanted: CustomerFilter) -> Vec<String> {
    let window = Window::Page { number: 1, size: 9 };
    let mut tx = store.read().await.unwrap();
    let listed = tx.customer_list(&app(), &wanted, &window).await.unwrap();
    assert_eq!(listed.total, Some(listed.rows.len() as u64));
    let names = listed.rows.into_iter().map(|row| row.profile.name.unwrap());
    names.collect()
}

fn paddle_customer(occurred_at: &str) -> Message {
    let payload = json!({
        "event_id": "evt_p", "type": "customer.created", "event_type": "customer.created",
        "id": "evt_p", "notification_id": "ntf_1", "occurred_at": occurred_at,
        "data": { "id": "ctm_1", "email": "two@example.com", "name": null, "status": "active" },
    });
    let mut message = message(&payload, "1");
    message.headers_mut().provider = PADDLE.name;
    message
}

async fn a_providers_time_keeps_its_nanoseconds(engine: Engine) {
    let test = TestStore::new(engine, now()).await;
    let occurred_at = "2026-03-09T09:00:00.123456789Z";
    apply(&test.store, paddle_customer(occurred_at), now()).await;
    let event = event(&test.store, "evt_p").await;
    assert_eq!(event.occurred_at.unwrap().exact(), occurred_at);
}

async fn what_was_signed_is_kept_byte_by_byte(engine: Engine) {
    let test = TestStore::new(engine, now()).await;
    let customer = stripe_customer("cus_1", "one@example.com");
    let mut message = message(
        &stripe_event("evt_1", "customer.created", NOW - 9, customer),
        "1",
    );
    let odd = r#"{  "z": 1.10, "a": 90071992547409931, "nul": "\u0000", "ä": "\ud83d\ude00","#;
    message.body = message.body.replacen('{', odd, 1).into();
    let body = message.body.to_string();
    apply(&test.store, message, now()).await;
    assert_eq!(event(&test.store, "evt_1").await.payload, Some(body));
}

async fn a_timer_is_not_due_a_nanosecond_early(engine: Engine) {
    let test = TestStore::new(engine, now()).await;
    let mut payload = stripe_event(
        "evt_1",
        "customer.subscription.updated",
        NOW - 9,
        stripe_subscription("sub_1", "cus_1", "active"),
    );
    payload["data"]["object"]["cancel_at"] = json!(NOW + 60);
    apply(&test.store, message(&payload, "1"), now()).await;
    let due = Timestamp::from_seconds(NOW + 60).unwrap();
    let early = Timestamp::from_nanos(due.nanos() - 1);
    assert_eq!(run_due(&test.store, early).await.unwrap(), 0);
    assert_eq!(run_due(&test.store, due).await.unwrap(), 1);
    assert_eq!(run_due(&test.store, due).await.unwrap(), 0, "done once");
}

async fn a_search_is_blind_to_case_and_takes_wildcards_as_they_are(engine: Engine) {
    let test = TestStore::new(engine, now()).await;
    let store = &test.store;
    create(
        store,
        json!({ "name": "École Ünder_Score", "email": "Ada@Example.com" }),
    )
    .await;
    create(
        store,
        json!({ "name": "100% Pure\\Plain", "external_id": "ERP-7" }),
    )
    .await;
    let containing = |text: &str| CustomerFilter {
        text: Some(text.to_owned()),
        ..CustomerFilter::default()
    };
    for (search, expected) in [
        ("ÉCOLE", "École Ünder_Score"),
        ("école ü", "École Ünder_Score"),
        ("r_s", "École Ünder_Score"),
        ("ADA@", "École Ünder_Score"),
        ("0%", "100% Pure\\Plain"),
        ("e\\p", "100% Pure\\Plain"),
        ("erp-", "100% Pure\\Plain"),
    ] {
        assert_eq!(
            found(store, containing(search)).await,
            [expected],
            "{search}"
        );
    }
    for search in ["1%e", "e_p", "%", "nobody"] {
        let expected = usize::from(search == "%");
        assert_eq!(
            found(store, containing(search)).await.len(),
            expected,
            "{search}"
        );
    }
}

async fn a_list_knows_who_has_a_token_and_when_rows_were_made(engine: Engine) {
    let test = TestStore::new(engine, now()).await;
    create(&test.store, json!({ "name": "With" })).await;
    let customer = stripe_customer("cus_1", "one@example.com");
    let payload = stripe_event("evt_1", "customer.created", NOW - 9, customer);
    apply(&test.store, message(&payload, "1"), now()).await;
    let count = async |wanted| {
        let window = Window::Page { number: 1, size: 9 };
        let mut tx = test.store.read().await.unwrap();
        let listed = tx.customer_list(&app(), &wanted, &window).await.unwrap();
        listed.rows.len()
    };
    let filter = |has_token, created_after| CustomerFilter {
        has_token,
        created_after,
        ..CustomerFilter::default()
    };
    assert_eq!(count(filter(Some(true), None)).await, 1);
    assert_eq!(count(filter(Some(false), None)).await, 1);
    assert_eq!(count(filter(None, Some(now()))).await, 0);
    let before = Timestamp::from_seconds(NOW - 1).unwrap();
    assert_eq!(count(filter(None, Some(before))).await, 2);
}

async fn a_look_up_by_an_impossible_value_finds_nothing(engine: Engine) {
    let test = TestStore::new(engine, now()).await;
    create(
        &test.store,
        json!({ "name": "Ada", "email": "ada@example.com" }),
    )
    .await;
    let mut tx = test.store.read().await.unwrap();
    for text in [
        "\0",
        "ada\0",
        "ada@example.com\0",
        "'; DROP TABLE customers; --",
        "$1",
        "{rows}",
    ] {
        let by_id = tx
            .customer_find_by_external(&app(), text, &other_spellings(text))
            .await;
        assert_eq!(by_id.unwrap(), None, "{text:?}");
        let by_email = tx.customer_find_by_email(&app(), text).await;
        assert_eq!(by_email.unwrap(), None, "{text:?}");
        assert!(
            tx.event_find(&app(), text).await.unwrap().is_none(),
            "{text:?}"
        );
    }
}

async fn what_is_not_committed_was_never_there(engine: Engine) {
    let test = TestStore::new(engine, now()).await;
    let other: AppSlug = "other".parse().unwrap();
    let mut tx = test.store.begin_in(&other).await.unwrap();
    let new = tollgate::store::App {
        slug: other.clone(),
        name: "Other".to_owned(),
        policy: tollgate::domain::policy::Policy::default(),
        settings: tollgate::domain::app_settings::KeptSettings::default(),
        created_at: now(),
    };
    assert!(tx.app_add(&new).await.unwrap());
    drop(tx);
    let mut tx = test.store.begin_in(&other).await.unwrap();
    assert_eq!(tx.app_find(&other).await.unwrap(), None);
    assert!(tx.app_add(&new).await.unwrap());
    tx.commit().await.unwrap();
    let mut tx = test.store.read().await.unwrap();
    assert_eq!(tx.app_find(&other).await.unwrap(), Some(new));
}

/// Without statistics SQLite walks a whole app for each key that it looks up.
#[tokio::test]
async fn sqlite_finds_keys_by_their_indexes() {
    let test = TestStore::new(Engine::Sqlite, now()).await;
    let mut connection = SqliteConnection::connect(&test.place.url()).await.unwrap();
    for (table, column, found) in [
        ("accounts", "key", "(app=? AND key=?)"),
        ("accounts", "linking_email", "(app=? AND linking_email=?)"),
        ("accounts", "changed_email", "(app=? AND changed_email=?)"),
        ("accounts", "seller_id", "(app=? AND seller_id=?)"),
        ("accounts", "customer_id", "(app=? AND customer_id=?)"),
        ("subscriptions", "account", "(app=? AND account=?)"),
        ("customers", "home", "(app=? AND home=?)"),
        ("customers", "admin_email", "(app=? AND admin_email=?)"),
        (
            "customers",
            "COALESCE(merged_into, id)",
            "customers_by_shown (app=? AND <expr>=?)",
        ),
    ] {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT kept \
             FROM (SELECT value ->> 0 AS wanted FROM json_each('[]')) \
             JOIN {table} ON app = 'default' AND {column} = wanted"
        );
        let plan = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection);
        let plan: Vec<String> = plan.await.unwrap().iter().map(|it| it.get(3)).collect();
        let plan = plan.join("; ");
        assert!(plan.contains(found), "{table}.{column}: {plan}");
    }
    let unknown = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL \
                   AND name NOT IN (SELECT idx FROM sqlite_stat1)";
    let unknown: i64 = sqlx::query_scalar(unknown)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(unknown, 0, "every index has statistics");
}

on_both_stores! {
    a_providers_time_keeps_its_nanoseconds,
    what_was_signed_is_kept_byte_by_byte,
    a_timer_is_not_due_a_nanosecond_early,
    a_search_is_blind_to_case_and_takes_wildcards_as_they_are,
    a_list_knows_who_has_a_token_and_when_rows_were_made,
    a_look_up_by_an_impossible_value_finds_nothing,
    what_is_not_committed_was_never_there,
}

/// The integrity check of SQLite 3.40 reports NULLs that are not there in tables of any other form.
#[tokio::test]
async fn tables_without_rowid_begin_with_the_columns_of_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.db");
    let store = Store::open_sqlite(&file).await.unwrap();
    store.migrate().await.unwrap();
    let url = format!("sqlite://{}", file.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let sql = r"
        SELECT tables.name || '.' || columns.name
        FROM sqlite_schema AS tables
        JOIN pragma_table_info(tables.name) AS columns
        WHERE tables.type = 'table'
            AND tables.sql LIKE '%WITHOUT ROWID%'
            AND columns.pk > 0 AND columns.pk <> columns.cid + 1
    ";
    let misplaced: Vec<String> = sqlx::query_scalar(sql)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(misplaced, Vec::<String>::new());
}
