//! Faults under load: a receiver, two workers and an API as processes of their own, on a RabbitMQ
//! and a PostgreSQL of their own. Signed events come at a steady rate, each posted again until it
//! gets 200, as a provider would, while a worker is killed, the broker is killed and started
//! again, and the database is stopped and started. Then the ledger is asked what became of every
//! event that got 200.
//!
//! `cargo bench --bench faults` (about two minutes); `RATE=500` for another number a second.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a rig that ends at the first surprise and prints what it saw"
)]

#[expect(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the tests use the rest"
)]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::spec::{header_name, sign};

use sqlx::{Connection, PgConnection, Row};
use tollgate::clock::{Clock, SystemClock};
use tollgate::provider::STRIPE;
use tollgate::store::Store;

use support::postgres::Cluster;
use support::{SECRET_KEY, client, environment, secret, stripe_customer, stripe_event};

/// How long events are sent.
const LOAD: Duration = Duration::from_mins(1);
/// How long a provider waits before it posts again what did not get 200.
const RETRY: Duration = Duration::from_secs(1);
/// When an event counts as delayed by a fault: from receipt to outcome it usually takes a few
/// milliseconds.
const DELAYED: Duration = Duration::from_secs(1);

struct Fault {
    name: &'static str,
    at: Duration,
}

const FAULTS: [Fault; 3] = [
    Fault {
        name: "kill -9 of a worker",
        at: Duration::from_secs(8),
    },
    Fault {
        name: "kill -9 of RabbitMQ, started again",
        at: Duration::from_secs(18),
    },
    Fault {
        name: "PostgreSQL stopped for 3 s",
        at: Duration::from_secs(40),
    },
];

/// A process of one role.
struct Process(Child);

impl Process {
    fn start(role: &str, environment: &BTreeMap<OsString, OsString>, port: u16) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(["serve", "--role", role])
            .env_clear()
            .envs(environment)
            .env("TOLLGATE_LISTEN", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    async fn ready(&self, port: u16) {
        let url = format!("http://127.0.0.1:{port}/readyz");
        let (client, started) = (client(), Instant::now());
        while !client
            .get(&url)
            .send()
            .await
            .is_ok_and(|it| it.status() == 200)
        {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "port {port} is not ready"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that was killed already is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Default)]
struct Sent {
    events: AtomicUsize,
    refused: AtomicUsize,
}

/// Posts one event until it gets 200.
async fn deliver(client: reqwest::Client, port: u16, n: usize, sent: Arc<Sent>) {
    let url = format!("http://127.0.0.1:{port}/webhooks/stripe");
    let customer = stripe_customer(&format!("cus_{n}"), &format!("c{n}@example.com"));
    let created = SystemClock.now().seconds();
    let event = stripe_event(&format!("evt_{n}"), "customer.created", created, customer);
    let body = event.to_string().into_bytes();
    loop {
        let signature = sign(STRIPE.name, &secret(STRIPE.name), &body, SystemClock.now());
        let request = client
            .post(&url)
            .header(header_name(STRIPE.name), signature);
        let answer = request.body(body.clone()).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        sent.refused.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(RETRY).await;
    }
}

/// Sends at a steady rate; ends when every event has got 200.
async fn load(port: u16, rate: u32, sent: Arc<Sent>) {
    let (client, mut ticks) = (
        client(),
        tokio::time::interval(Duration::from_secs(1) / rate),
    );
    let (started, mut posts) = (Instant::now(), tokio::task::JoinSet::new());
    while started.elapsed() < LOAD {
        ticks.tick().await;
        let n = sent.events.fetch_add(1, Ordering::Relaxed);
        posts.spawn(deliver(client.clone(), port, n, Arc::clone(&sent)));
    }
    while posts.join_next().await.is_some() {}
}

async fn count(database: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query(sql).fetch_one(database).await.unwrap().get(0)
}

/// Seconds from the start of a fault until the last event that it delayed had its outcome.
async fn until_normal(database: &mut PgConnection, from: f64, to: f64) -> Option<f64> {
    let sql = "SELECT max(extract(epoch FROM processed_at))::float8 - $1 FROM events \
               WHERE extract(epoch FROM received_at) BETWEEN $1 - 2 AND $2 \
               AND processed_at > received_at + make_interval(secs => $3)";
    let row = sqlx::query(sql)
        .bind(from)
        .bind(to)
        .bind(DELAYED.as_secs_f64());
    row.fetch_one(database).await.unwrap().get(0)
}

#[tokio::main]
async fn main() {
    let rate: u32 = std::env::var("RATE")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(200);
    let folder = tempfile::tempdir().unwrap();
    let mut broker = support::rabbitmq::rough().await;
    let mut cluster = Cluster::start();
    // Tests may do without the disk; who asks what a fault loses may not.
    cluster.run("ALTER SYSTEM SET fsync = on").await;
    cluster.run("SELECT pg_reload_conf()").await;
    let url = cluster.create("faults", "template1").await;
    Store::open_postgres(&url).unwrap().migrate().await.unwrap();
    let mut settings = environment(folder.path());
    let database_url = secrecy::ExposeSecret::expose_secret(&url).to_owned();
    settings.insert("DATABASE_URL".into(), database_url.clone().into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    settings.insert("AMQP_URL".into(), broker.url().into());

    // Below the ports that the kernel hands out, so that a killed process finds its own again.
    let port = 19_000 + u16::try_from(std::process::id() % 500).unwrap() * 4;
    let receiver = Process::start("receiver", &settings, port);
    let mut workers = [port + 1, port + 2].map(|port| Process::start("worker", &settings, port));
    let api = Process::start("api", &settings, port + 3);
    receiver.ready(port).await;
    workers[0].ready(port + 1).await;
    workers[1].ready(port + 2).await;
    api.ready(port + 3).await;
    println!(
        "{rate} events a second for {} s: receiver, two workers, API, RabbitMQ, PostgreSQL",
        LOAD.as_secs()
    );

    let sent = Arc::new(Sent::default());
    let (started, epoch) = (Instant::now(), SystemClock.now());
    let sending = tokio::spawn(load(port, rate, Arc::clone(&sent)));
    for (index, fault) in FAULTS.iter().enumerate() {
        tokio::time::sleep(fault.at.saturating_sub(started.elapsed())).await;
        println!(
            "  {:5.1} s  {}",
            started.elapsed().as_secs_f64(),
            fault.name
        );
        tokio::task::block_in_place(|| match index {
            0 => {
                workers[0].kill();
                std::thread::sleep(Duration::from_secs(3));
                workers[0] = Process::start("worker", &settings, port + 1);
            }
            1 => {
                broker.kill();
                broker.restart();
            }
            _ => {
                cluster.stop();
                std::thread::sleep(Duration::from_secs(3));
                cluster.start_again();
            }
        });
    }
    sending.await.unwrap();

    let events = sent.events.load(Ordering::Relaxed);
    let mut database = PgConnection::connect(&database_url).await.unwrap();
    let settled = Instant::now();
    let all = i64::try_from(events).unwrap();
    while count(
        &mut database,
        "SELECT count(*) FROM events WHERE outcome = 'applied'",
    )
    .await
        < all
        && settled.elapsed() < Duration::from_mins(1)
    {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    report(&mut database, &sent, epoch.nanos()).await;
}

async fn report(database: &mut PgConnection, sent: &Sent, epoch: i64) {
    let events = i64::try_from(sent.events.load(Ordering::Relaxed)).unwrap();
    let known = count(database, "SELECT count(*) FROM events").await;
    let failed = count(
        database,
        "SELECT count(*) FROM events WHERE outcome <> 'applied'",
    )
    .await;
    let twice = "SELECT count(*) FROM (SELECT event FROM audit WHERE operation = 'create' \
                 GROUP BY event HAVING count(*) > 1) AS twice";
    let doubled = count(database, twice).await;
    let customers = count(database, "SELECT count(*) FROM customers").await;
    let refused = sent.refused.load(Ordering::Relaxed);
    println!("\nsent and answered 200 in the end  {events:>7}");
    println!("posts that got no 200 at first    {refused:>7}");
    println!("lost (200, no outcome)            {:>7}", events - known);
    println!("outcome other than applied        {failed:>7}");
    println!("doubled (two effects)             {doubled:>7}");
    println!("customers made                    {customers:>7}");
    let seconds = |at: Duration| {
        #[expect(clippy::cast_precision_loss, reason = "microseconds are enough here")]
        let epoch = epoch as f64 / 1e9;
        epoch + at.as_secs_f64()
    };
    for (index, fault) in FAULTS.iter().enumerate() {
        let end = FAULTS
            .get(index + 1)
            .map_or(LOAD, |next| next.at.saturating_sub(Duration::from_secs(2)));
        let normal = until_normal(database, seconds(fault.at), seconds(end)).await;
        let normal =
            normal.map_or_else(|| "no event delayed".to_owned(), |it| format!("{it:.1} s"));
        println!("until normal after {:<36} {normal}", fault.name);
    }
    let right = events == known && failed == 0 && doubled == 0 && customers == events;
    println!(
        "{}",
        if right {
            "nothing lost, nothing doubled"
        } else {
            "THIS IS NOT RIGHT"
        }
    );
    if !right {
        std::process::exit(1);
    }
}
