//! How fast the receiver and the worker are, beside programs that do the same input and output
//! and nothing else: `cargo bench --bench throughput`; `ONLY=receiver` or `ONLY=worker` for a part.
//! `BEFORE=target/release/tollgate-before` drains with the worker of another build, too.
//!
//! Only ratios measured in the same minute count: broker, database, load and what is measured
//! share one machine, and machines are noisy. So ours and the bare program take turns, and the
//! table shows medians and what ours has of the bare one's throughput. Nothing is asserted.
//! RabbitMQ and PostgreSQL are throwaway ones, both with everything forced to the disk.
//!
//! criterion was refused: it times functions of one process, and this is several processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what a measurement did not expect ends it, and its table goes to the terminal"
)]

mod bare;
mod event;
mod load;
mod program;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/support"]
mod support {
    pub(crate) mod postgres;
    pub(crate) mod rabbitmq;
}

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use lapin::options::QueuePurgeOptions;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use tollgate::queue::Publisher;
use tollgate::queue::rabbitmq::RabbitQueue;

use load::Window;
use program::Program;
use support::{postgres, rabbitmq};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 3;
const WINDOW: Duration = Duration::from_secs(4);
/// Messages of one draining.
const BACKLOG: usize = 20_000;
/// How long a backlog may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Whose programs are measured. Each has exchanges and queues of its own, declared alike.
#[derive(Clone, Copy)]
enum Side {
    Ours,
    Bare,
    /// The program that `BEFORE` names.
    Before,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Ours, Self::Bare];

    fn prefix(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Bare => "bare",
            Self::Before => "before",
        }
    }
}

#[tokio::main]
async fn main() {
    if bare::was_asked_for().await {
        return;
    }
    // What reqwest asks for, although nothing here is encrypted.
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    // The tests' server spares the disk and keeps no statistics; here their cost and use count.
    for setting in ["fsync", "full_page_writes", "autovacuum"] {
        let sql = format!("ALTER SYSTEM SET {setting} = on");
        postgres::SHARED.run(&sql).await;
    }
    postgres::SHARED.run("SELECT pg_reload_conf()").await;
    let only = std::env::var("ONLY").unwrap_or_default();
    if only != "worker" {
        let (ours, bare) = receivers().await;
        print_head("receiver, 64 connections");
        print_row("webhooks/s", rate(&ours), rate(&bare), 0);
        for (name, part) in [("p50, ms", 0.5), ("p99, ms", 0.99)] {
            print_row(name, quantile(&ours, part), quantile(&bare, part), 2);
        }
    }
    if only != "receiver" {
        let before = std::env::var_os("BEFORE").is_some();
        let mut sides = Side::BOTH.to_vec();
        sides.extend(before.then_some(Side::Before));
        let rates = workers(&sides).await;
        print_head("worker, backlog of 20,000");
        print_row("events/s", rates[0], rates[1], 0);
        if let Some(before) = rates.get(2) {
            println!("  {:<26}{before:>10.0}", "events/s, the build before");
        }
    }
}

/// Windows of load on both receivers, in turns.
async fn receivers() -> (Vec<Window>, Vec<Window>) {
    let database = durable_database().await;
    let queues = [queue(Side::Ours).await, queue(Side::Bare).await];
    let mut programs = Side::BOTH.map(|side| Program::start(side, "receiver", &database));
    let mut windows = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (index, side) in Side::BOTH.into_iter().enumerate() {
            let window = post(&mut programs[index]).await;
            // The first round warms up.
            if round > 0 {
                windows[index].push(window);
            }
            purge(side).await;
        }
    }
    drop(queues);
    let [ours, bare] = windows;
    (ours, bare)
}

/// Posts signed webhooks to a receiver for a window of time.
async fn post(program: &mut Program) -> Window {
    program.until_listening().await;
    load::send(program.address, CONNECTIONS, WINDOW, |_| {
        let (signature, body) = event::signed();
        format!(
            "POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nStripe-Signature: {signature}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    })
    .await
}

/// Events a second of each side's worker, medians of drainings in turns.
async fn workers(sides: &[Side]) -> Vec<f64> {
    let mut rates = vec![Vec::new(); sides.len()];
    for _ in 0..ROUNDS {
        for (rates, &side) in rates.iter_mut().zip(sides) {
            let database = match side {
                Side::Ours | Side::Bare => durable_database().await,
                // It has a schema of its own, and makes its app by itself. Its queue may have another
                // name, so it declares that before there is anything to put into it.
                Side::Before => {
                    let empty = postgres::empty_database().await;
                    program::migrate(side, &empty);
                    Program::start(side, "worker", &empty).until_ready().await;
                    empty
                }
            };
            fill(side).await;
            let mut program = Program::start(side, "worker", &database);
            let rate = drain(&mut program, &database).await;
            println!("  {} {rate:.0} events/s", side.prefix());
            rates.push(rate);
        }
    }
    rates.into_iter().map(median).collect()
}

/// A database with our schema. That it is durable is looked up, since all figures rest on it.
async fn durable_database() -> SecretString {
    let url = postgres::database().await;
    let mut connection = PgConnection::connect(url.expose_secret()).await.unwrap();
    let sql = "SELECT current_setting('fsync') || current_setting('full_page_writes') \
               || current_setting('synchronous_commit')";
    let settings: String = sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(settings, "ononon");
    let sql = "INSERT INTO apps (slug, name, policy, settings, created_at) \
               VALUES ('default', 'default', '{}', '{}', now())";
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    url
}

/// Declares a side's exchanges and queues.
async fn queue(side: Side) -> RabbitQueue {
    let settings = rabbitmq::shared().settings(side.prefix());
    RabbitQueue::start(&settings).await.unwrap()
}

/// Puts a backlog into a side's queue.
async fn fill(side: Side) {
    let queue = queue(side).await;
    let published = stream::iter(0..BACKLOG)
        .map(|_| queue.publish(event::message()))
        .buffer_unordered(200);
    published.try_collect::<()>().await.unwrap();
}

/// Empties a side's queue: what no worker takes would slow the next window down.
async fn purge(side: Side) {
    let (_connection, channel) = bare::channel(&rabbitmq::shared().url()).await;
    let queue = format!("{}.work.2", side.prefix());
    channel
        .queue_purge(queue.into(), QueuePurgeOptions::default())
        .await
        .unwrap();
}

/// Waits until the backlog is in the ledger. The rate is that from the beginning of the first
/// batch to that of the last, which leaves out how long the program took to start.
async fn drain(program: &mut Program, database: &SecretString) -> f64 {
    let mut connection = PgConnection::connect(database.expose_secret())
        .await
        .unwrap();
    let started = Instant::now();
    let all = i64::try_from(BACKLOG).unwrap();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Reads the end of an index, where counting would read the table.
        let sql = "SELECT coalesce(max(seq), 0) FROM events";
        let seen: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        if seen >= all {
            break;
        }
        program.assert_running();
        let late = started.elapsed() > PATIENCE;
        assert!(!late, "{seen} of {all} events; {}", program.last_words());
    }
    let sql = "SELECT (count(*) FILTER (WHERE processed_at < last) \
               / extract(epoch FROM last - min(processed_at)))::float8 \
               FROM events, (SELECT max(processed_at) AS last FROM events) AS ends GROUP BY last";
    sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

fn rate(windows: &[Window]) -> f64 {
    median(windows.iter().map(Window::rate).collect())
}

fn quantile(windows: &[Window], part: f64) -> f64 {
    median(windows.iter().map(|it| it.millis(part)).collect())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn print_head(what: &str) {
    println!("{what:<28}{:>10}{:>10}{:>8}", "ours", "bare", "ratio");
}

fn print_row(what: &str, ours: f64, bare: f64, digits: usize) {
    let ratio = ours / bare;
    println!("  {what:<26}{ours:>10.digits$}{bare:>10.digits$}{ratio:>8.2}");
}
