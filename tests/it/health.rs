//! What `/readyz` says of each role while something is wrong, beside what the role can do then.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tollgate::config::{Config, Source};
use tollgate::http::Roles;
use tollgate::provider::STRIPE;
use tollgate::server::Server;
use tollgate::store::{Store, Trouble};

use crate::fault_rig::disk::{SmallDisk, may_mount};
use crate::fault_rig::proxy::{Proxy, Traffic};
use crate::support::postgres::Cluster;
use crate::support::program::{out, tollgate};
use crate::support::rabbitmq::{Broker, prefix, rough};
use crate::support::stores::{Engine, Place, on_both_stores};
use crate::support::{
    NO_ROLE, PATIENCE, SECRET_KEY, TestServer, call, client, environment, post_signed,
    seconds_from_now, stripe_customer, stripe_event,
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

on_both_stores!(
    a_secret_of_another_key_is_told_by_all_that_are_asked,
    an_idle_server_stays_ready_and_tells_what_it_did_last,
    while_somebody_holds_the_write_lock_it_is_not_ready,
);

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

/// Receiver, worker and API as three servers, over a database and a broker of the test's own.
struct Apart {
    receiver: Server,
    worker: Server,
    api: Server,
    _folder: TempDir,
}

fn base(server: &Server) -> String {
    format!("http://{}", server.address())
}

impl Apart {
    async fn start(database: &str, broker: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings: BTreeMap<OsString, OsString> = environment(folder.path());
        settings.insert("DATABASE_URL".into(), database.into());
        settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
        settings.insert("AMQP_URL".into(), broker.into());
        settings.insert("TOLLGATE_AMQP_PREFIX".into(), prefix().into());
        let source = Source {
            environment: settings,
            file: None,
        };
        let config = Config::load(&source).unwrap().config;
        let (mut receiver, mut worker, mut api) = (NO_ROLE, NO_ROLE, NO_ROLE);
        (receiver.receiver, worker.worker, api.api) = (true, true, true);
        let start = async |roles: Roles| Server::start(&config, roles).await.unwrap();
        let apart = Self {
            receiver: start(receiver).await,
            worker: start(worker).await,
            api: start(api).await,
            _folder: folder,
        };
        apart.until_all_work(0).await;
        apart
    }

    /// Waits until all are ready, and a webhook is applied.
    async fn until_all_work(&self, n: usize) {
        for server in [&self.receiver, &self.worker, &self.api] {
            let ready = until_ready(&base(server)).await;
            assert_eq!(ready.get("degraded"), None, "{ready}");
        }
        assert_eq!(post(&base(&self.receiver), n).await, 200);
        self.until_applied(n).await;
    }

    async fn until_applied(&self, n: usize) {
        let (started, path) = (Instant::now(), format!("/api/v1/events/evt_{n}"));
        loop {
            let (status, event) = call(&client(), &base(&self.api), "GET", &path, None).await;
            if status == 200 && event["outcome"] == "applied" {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{status} {event}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn stop(self) {
        for server in [self.receiver, self.worker, self.api] {
            server.stop().await;
        }
    }
}

/// Without the broker, or with one that takes nothing.
async fn without_the_broker(broker: &mut Broker, alarm: bool) {
    let place = Place::new(Engine::Postgres).await;
    let apart = Apart::start(&place.url(), &broker.url()).await;
    if alarm {
        broker.ctl(&["set_vm_memory_high_watermark", "0"]);
    } else {
        broker.kill();
    }
    assert_eq!(post(&base(&apart.receiver), 1).await, 200, "it is spooled");
    until_not_ready(&base(&apart.worker), "queue", &["broker_away"]).await;
    let receiver = until_ready(&base(&apart.receiver)).await;
    assert_eq!(receiver["degraded"], "spooling", "{receiver}");
    assert!(receiver["oldest_message_seconds"].is_u64(), "{receiver}");
    until_ready(&base(&apart.api)).await;
    assert_eq!(create_customer(&base(&apart.api), 1).await, 201);
    if alarm {
        broker.ctl(&["set_vm_memory_high_watermark", "0.9"]);
    } else {
        let worker = until_not_ready(&base(&apart.worker), "worker", &["broker_away"]).await;
        assert_eq!(code_of(&worker, "store"), None, "{worker}");
        tokio::task::block_in_place(|| broker.restart());
    }
    apart.until_applied(1).await;
    apart.until_all_work(2).await;
    apart.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_broker_a_worker_is_not_ready_and_a_receiver_spools() {
    without_the_broker(&mut *rough().await, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_memory_alarm_a_worker_is_not_ready_and_a_receiver_spools() {
    without_the_broker(&mut *rough().await, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_the_broker_that_swallows_everything_is_seen_by_the_worker() {
    let broker = rough().await;
    let proxy = Proxy::to(broker.port());
    let place = Place::new(Engine::Postgres).await;
    let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", proxy.port);
    let apart = Apart::start(&place.url(), &url).await;
    proxy.set(Traffic::Stalled);
    until_not_ready(&base(&apart.worker), "worker", &["broker_away"]).await;
    proxy.set(Traffic::Flows);
    apart.until_all_work(1).await;
    apart.stop().await;
}

async fn cluster() -> (Cluster, String) {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let url = cluster.create("t", "template0").await;
    let store = Store::open_postgres(&url).unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    (cluster, url.expose_secret().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_a_role_is_not_ready_and_refuses_at_once() {
    let broker = rough().await;
    let (mut cluster, url) = cluster().await;
    let apart = Apart::start(&url, &broker.url()).await;
    tokio::task::block_in_place(|| cluster.stop());
    for server in [&apart.worker, &apart.api] {
        until_not_ready(&base(server), "store", &["store_away"]).await;
    }
    assert_eq!(create_customer(&base(&apart.api), 1).await, 503);
    assert_eq!(
        post(&base(&apart.receiver), 1).await,
        200,
        "the broker takes it"
    );
    until_ready(&base(&apart.receiver)).await;
    tokio::task::block_in_place(|| cluster.start_again());
    apart.until_applied(1).await;
    apart.until_all_work(2).await;
    apart.stop().await;
}

/// The links to the database die in silence, under a transaction of each and at rest.
#[tokio::test(flavor = "multi_thread")]
async fn links_to_the_database_that_die_in_silence_are_replaced() {
    let broker = rough().await;
    let (cluster, url) = cluster().await;
    let proxy = Proxy::to(cluster.port());
    let proxied = url.replace(&cluster.port().to_string(), &proxy.port.to_string());
    let apart = Apart::start(&proxied, &broker.url()).await;
    let posting = async {
        for n in 1..40 {
            post(&base(&apart.receiver), n).await;
        }
    };
    let dying = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        proxy.set(Traffic::HalfOpen);
    };
    tokio::join!(posting, dying);
    let (died, path) = (Instant::now(), "/api/v1/customers");
    while call(&client(), &base(&apart.api), "GET", path, None)
        .await
        .0
        != 200
    {
        assert!(died.elapsed() < PATIENCE, "the API has not come back");
    }
    for n in 1..40 {
        apart.until_applied(n).await;
    }
    apart.until_all_work(40).await;
    apart.stop().await;
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
