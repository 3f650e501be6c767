//! What `/readyz` says of each role while something is wrong, beside what the role can do then.

mod apart;

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::health::Health;
use tollgate::provider::STRIPE;
use tollgate::queue::message::Replay;
use tollgate::queue::{Message, embedded};
use tollgate::store::{Store, Trouble};

use crate::fault_rig::disk::{SmallDisk, may_mount};
use crate::process::message;
use crate::support::program::{out, tollgate};
use crate::support::stores::{Engine, Place, TestStore, on_both_stores};
use crate::support::{
    PATIENCE, SetClock, TestServer, call, client, environment, post_signed, seconds_from_now,
    stripe_customer, stripe_event,
};

/// Probes of Kubernetes wait a second; a busy test machine gets some more.
const ANSWER: Duration = Duration::from_secs(3);

fn sign_up(n: usize) -> Value {
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    let id = format!("evt_{n}");
    stripe_event(&id, "customer.created", seconds_from_now(-100), customer)
}

async fn readiness(base: &str) -> (u16, Value) {
    let asked = Instant::now();
    let answer = call(&client(), base, "GET", "/readyz", None).await;
    let took = asked.elapsed();
    assert!(took < ANSWER, "answered after {took:?}: {answer:?}");
    answer
}

/// Asks until a part of a process that is not ready has one of these codes.
async fn until_not_ready(base: &str, part: &str, codes: &[&str]) -> Value {
    let started = Instant::now();
    loop {
        let (status, answer) = readiness(base).await;
        let code = code_of(&answer, part);
        if status == 503 && code.is_some_and(|it| codes.contains(&it)) {
            return answer;
        }
        let waited = started.elapsed();
        assert!(waited < PATIENCE, "{part} {codes:?}: {status} {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_ready(base: &str) -> Value {
    let started = Instant::now();
    loop {
        let (status, answer) = readiness(base).await;
        if status == 200 {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "{status} {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn code_of<'a>(answer: &'a Value, part: &str) -> Option<&'a str> {
    let mut parts = answer["parts"].as_array()?.iter();
    parts.find(|it| it["name"] == part)?["code"].as_str()
}

/// Posts a new event; its status.
async fn post(base: &str, n: usize) -> u16 {
    let url = format!("{base}/webhooks/stripe");
    let body = sign_up(n).to_string().into_bytes();
    post_signed(&client(), &url, STRIPE.name, body).await.0
}

async fn create_customer(base: &str, n: usize) -> u16 {
    let body = json!({ "name": "Ada", "email": format!("a{n}@example.com") });
    let path = "/api/v1/customers";
    call(&client(), base, "POST", path, Some(body)).await.0
}

/// Holds the lock that all writers need, as another process.
enum Holder {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Holder {
    async fn hold(place: &Place, table: &str) -> Self {
        match place {
            Place::Folder(_) => {
                let mut other = SqliteConnection::connect(&place.url()).await.unwrap();
                other.execute("BEGIN IMMEDIATE").await.unwrap();
                Self::Sqlite(other)
            }
            Place::Server(url) => {
                let mut other = PgConnection::connect(url.expose_secret()).await.unwrap();
                let sql = format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE");
                other.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
                Self::Postgres(other)
            }
        }
    }

    async fn let_go(self) {
        match self {
            Self::Sqlite(mut other) => drop(other.execute("ROLLBACK").await.unwrap()),
            Self::Postgres(mut other) => drop(other.execute("ROLLBACK").await.unwrap()),
        }
    }
}

async fn while_somebody_holds_the_write_lock_it_is_not_ready(engine: Engine) {
    let server = TestServer::start(engine).await;
    until_ready(&server.base).await;
    for (n, table) in ["messages", "customers"].into_iter().enumerate() {
        let holder = Holder::hold(&server.place, table).await;
        let codes = ["store_locked", "store_no_answer"];
        until_not_ready(&server.base, "store", &codes).await;
        // Neither can be done: a webhook needs the one table, a customer the other.
        let done = match table {
            "messages" => post(&server.base, n).await,
            _ => create_customer(&server.base, n).await,
        };
        assert_eq!(done, 503, "{table}");
        holder.let_go().await;
        until_ready(&server.base).await;
        assert_eq!(post(&server.base, 10 + n).await, 200, "{table}");
        assert_eq!(create_customer(&server.base, 10 + n).await, 201, "{table}");
    }
    server.stop().await;
}

async fn an_idle_server_stays_ready_and_tells_what_it_did_last(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up(1)).await;
    let ready = until_ready(&server.base).await;
    for part in ["queue", "store", "worker"] {
        let parts = ready["parts"].as_array().unwrap();
        let part = parts.iter().find(|it| it["name"] == part).unwrap();
        assert!(part["last_success_seconds"].is_u64(), "{part}");
    }
    // What is tried leaves nothing behind.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        until_ready(&server.base).await;
    }
    let sql = "SELECT COUNT(*) FROM messages";
    assert_eq!(server.place.count(sql, sql).await, 0);
    server.stop().await;
}

async fn a_secret_of_another_key_is_told_by_all_that_are_asked(engine: Engine) {
    let server = TestServer::start(engine).await;
    let path = "/api/v1/apps";
    let body = json!({ "slug": "acme", "name": "Acme" });
    assert_eq!(server.call("POST", path, Some(body)).await.0, 201);
    let path = "/api/v1/apps/acme/endpoints/stripe/secrets";
    let body = json!({ "secret": "whsec_of_acme_alone_0123456789" });
    let (status, added) = server.call("POST", path, Some(body)).await;
    assert_eq!(status, 201, "{added}");
    let id = added["id"].as_str().unwrap().to_owned();
    let (place, mut environment) = server.stop_and_keep().await;

    let other_key = "AAAAT05MWS10ZXN0LW9ubHktMzItYnl0ZXMta2V5IQA=";
    environment.insert("TOLLGATE_SECRET_KEY".into(), other_key.into());
    let folder = tempfile::tempdir().unwrap();
    environment.insert("TOLLGATE_DATA_DIR".into(), folder.path().into());
    let checked = tollgate(&["check-config", "--connect"], environment.clone()).await;
    assert!(!checked.status.success(), "{checked:?}");
    let said = out(&checked);
    assert!(said.contains(&id) && said.contains("acme/stripe"), "{said}");

    let server = TestServer::start_over(environment, place, folder).await;
    let answer = until_not_ready(&server.base, "endpoints", &["endpoint_unreadable"]).await;
    assert!(
        !answer.to_string().contains("acme"),
        "tenants are walls: {answer}"
    );
    let url = format!("{}/webhooks/acme/stripe", server.base);
    let body = sign_up(1).to_string().into_bytes();
    let (status, answer) = post_signed(&server.client, &url, STRIPE.name, body).await;
    assert_eq!(
        (status, &answer["code"]),
        (503, &json!("endpoint_unreadable"))
    );
    assert_eq!(
        post(&server.base, 2).await,
        200,
        "the other endpoints go on"
    );

    let (status, _) = server.call("DELETE", &format!("{path}/{id}"), None).await;
    assert_eq!(status, 204);
    until_ready(&server.base).await;
    server.stop().await;
}

/// Replays say when they were first received, so they do not count; what stands behind them does.
async fn the_oldest_message_is_seen_behind_many_replays(engine: Engine) {
    let now = Timestamp::from_seconds(1_800_000_000).unwrap();
    let store = TestStore::new(engine, now).await;
    let mut waiting: Vec<Message> = (0..200)
        .map(|n| {
            let mut replayed = message(&sign_up(n), &format!("receipt {n}"));
            replayed.headers_mut().replay = Some(Replay {
                force: false,
                tries_before: 0,
            });
            replayed
        })
        .collect();
    let mut message = message(&sign_up(999), "receipt 999");
    message.headers_mut().received_at = Timestamp::from_seconds(1_799_999_900).unwrap();
    waiting.push(message);
    let mut tx = store.store.begin().await.unwrap();
    embedded::put(&mut tx, waiting).await.unwrap();
    tx.commit().await.unwrap();
    let clock = Arc::new(SetClock::at(1_800_000_000));
    let health = Health::new(store.store.clone(), clock);
    let oldest = health.oldest_message().await;
    assert_eq!(oldest, Some(Duration::from_secs(100)));
}

on_both_stores!(
    the_oldest_message_is_seen_behind_many_replays,
    a_secret_of_another_key_is_told_by_all_that_are_asked,
    an_idle_server_stays_ready_and_tells_what_it_did_last,
    while_somebody_holds_the_write_lock_it_is_not_ready,
);

#[expect(
    clippy::print_stderr,
    reason = "whoever reads the output of the tests must see what did not run"
)]
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_it_is_not_ready_and_comes_back_by_itself() {
    if !may_mount() {
        eprintln!("not run: only root may mount a small disk");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(folder.path(), 8);
    let mut settings = environment(&disk.path);
    let url = format!("sqlite://{}/t.db", disk.path.display());
    settings.insert("DATABASE_URL".into(), url.into());
    let place = Place::new(Engine::Sqlite).await;
    let server = TestServer::start_over(settings, place, folder).await;
    until_ready(&server.base).await;
    disk.fill();
    let started = Instant::now();
    // What is free in the files that exist is used up first.
    let mut n = 0;
    while post(&server.base, n).await == 200 {
        n += 1;
        assert!(started.elapsed() < PATIENCE * 2, "{n} webhooks still fit");
    }
    until_not_ready(&server.base, "store", &["store_full"]).await;
    disk.grow();
    until_ready(&server.base).await;
    assert_eq!(post(&server.base, 1_000_000).await, 200);
    server.outcome("evt_1000000").await;
    server.stop().await;
    drop(disk);
}

/// A server that takes connections and never says anything.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_database_that_hangs_one_caller_waits_and_the_others_do_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://postgres@127.0.0.1:{port}/t").into();
    let store = Store::open_postgres(&url).unwrap();
    let first = store.begin().await.err().unwrap();
    assert_eq!(first.trouble(), Some(Trouble::Away), "{first:?}");
    let started = Instant::now();
    for _ in 0..20 {
        let error = store.begin().await.err().unwrap();
        assert_eq!(error.trouble(), Some(Trouble::Away), "{error:?}");
    }
    // Each on its own would wait two seconds; now and then one tries.
    let took = started.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_in_use_is_busy_and_not_away() {
    let place = Place::new(Engine::Postgres).await;
    let store = place.open().await;
    let mut all = Vec::new();
    for _ in 0..12 {
        all.push(store.begin().await.unwrap());
    }
    let error = store.begin().await.err().unwrap();
    assert_eq!(error.trouble(), Some(Trouble::Busy), "{error:?}");
    all.pop();
    store.begin().await.unwrap();
    drop(all);
    store.close().await;
}
