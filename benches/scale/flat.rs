//! Whether anything gets slower as it grows: the same questions to two servers, one with 10,000
//! customers, in turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, Executor, PgConnection};

use super::backlog;
use super::copies::{copy, copy_events, make_one};
use super::{Api, load, settings, spread};
use crate::support::postgres::Cluster;

const SMALL: u32 = 10_000;
const EVENTS_OF_EACH: u32 = 5;
const ROUNDS: usize = 5;
const CONNECTIONS: usize = 64;
const WINDOW: Duration = Duration::from_secs(4);
/// What the server keeps in memory: the indexes of a million customers and their rows, as
/// `deploy/CAPACITY.md` asks for. With what it has as installed (128 MB) it copies nearly every page that it
/// looks at from the system's cache. It takes huge pages for it if the system has set as many aside.
const BUFFERS: &str = "4GB";
/// The part that may be lost.
const LOSS: f64 = 0.15;

struct Side {
    name: &'static str,
    url: SecretString,
    api: Api,
    customers: u32,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

/// Figures of which more is better, by name, one a round.
type Figures = Vec<(&'static str, Vec<f64>)>;

pub(crate) async fn compare(customers: u32) {
    let buffers = format!("shared_buffers = {BUFFERS}");
    let huge_pages = std::fs::read_to_string("/proc/sys/vm/nr_hugepages").unwrap_or_default();
    println!(
        "shared_buffers of {BUFFERS}, huge pages: {}",
        huge_pages.trim()
    );
    let cluster = Cluster::start_in(&std::env::temp_dir(), &buffers);
    let mut sides = Vec::new();
    for (name, customers) in [("small", SMALL), ("large", customers)] {
        let started = Instant::now();
        let url = cluster.create(name, "template1").await;
        make_one(&url).await;
        let mut database = PgConnection::connect(url.expose_secret()).await.unwrap();
        copy(&mut database, customers).await;
        copy_events(&mut database, customers, EVENTS_OF_EACH).await;
        // As after a day in service.
        let warm = "CREATE EXTENSION IF NOT EXISTS pg_prewarm; SELECT pg_prewarm(oid) FROM pg_class \
                    WHERE relkind = 'i' OR relkind = 'r' AND relname IN ('customers', 'accounts', \
                    'subscriptions', 'entitlements', 'tokens', 'token_hashes')";
        database.execute(warm).await.unwrap();
        let sql = "SELECT pg_database_size(current_database()) / 1024 / 1024";
        let size: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut database)
            .await
            .unwrap();
        println!(
            "{customers} customers and {} events, {size} MiB, made in {:.0} s",
            customers * EVENTS_OF_EACH,
            started.elapsed().as_secs_f64()
        );
        let folder = tempfile::tempdir().unwrap();
        let api = Api::start(&settings(folder.path(), &url)).await;
        sides.push(Side {
            name,
            url,
            address: api.base.trim_start_matches("http://").parse().unwrap(),
            api,
            customers,
            _folder: folder,
        });
    }
    let mut figures: [Figures; 2] = [Figures::new(), Figures::new()];
    for round in 0..=ROUNDS {
        for (side, figures) in sides.iter().zip(&mut figures) {
            for (name, figure) in measure(side).await {
                // The first round warms up.
                if round == 0 {
                    figures.push((name, Vec::new()));
                } else {
                    let row = figures.iter_mut().find(|(it, _)| *it == name);
                    row.unwrap().1.push(figure);
                }
            }
        }
    }
    println!(
        "{:<32}{:>10}{:>10}{:>8}",
        "a second", "small", "large", "loss"
    );
    let mut right = true;
    let [small, large] = figures;
    for ((name, small), (_, large)) in small.into_iter().zip(large) {
        let (small, large) = (median(small), median(large));
        let loss = 1.0 - large / small;
        right &= loss < LOSS;
        println!("{name:<32}{small:>10.0}{large:>10.0}{:>7.0}%", loss * 100.0);
    }
    if !right {
        println!("THIS IS NOT RIGHT");
        std::process::exit(1);
    }
}

async fn measure(side: &Side) -> Vec<(&'static str, f64)> {
    let mut figures = Vec::new();
    let customers = "/api/v1/customers";
    let a_second = |median: f64| 1_000.0 / median;
    let mut times = spread(&side.api, side.customers, |m| {
        format!("{customers}/cust_{m}")
    })
    .await;
    figures.push(("by id", a_second(times.at(0.5))));
    let by_external = |m: &str| format!("{customers}/by-external/stripe_cus_{m}");
    let mut times = spread(&side.api, side.customers, by_external).await;
    figures.push(("by external id", a_second(times.at(0.5))));
    let by_email = |m: &str| format!("{customers}/by-email?email=c{m}@example.com");
    let mut times = spread(&side.api, side.customers, by_email).await;
    figures.push(("by e-mail", a_second(times.at(0.5))));
    let event = |m: &str| format!("/api/v1/events/evt_{m}_3");
    let mut times = spread(&side.api, side.customers, event).await;
    figures.push(("event by id", a_second(times.at(0.5))));
    let events = |m: &str| format!("{customers}/cust_{m}/events");
    let mut times = spread(&side.api, side.customers, events).await;
    figures.push(("events of a customer", a_second(times.at(0.5))));
    figures.push(("access checks, 64 connections", access(side).await));
    let drained = backlog::drain(side.name, &side.url, side.customers).await;
    figures.push(("worker, backlog of renewals", drained));
    figures
}

/// Access checks a second, each of another customer.
async fn access(side: &Side) -> f64 {
    let next = Arc::new(AtomicU32::new(0));
    let customers = side.customers;
    let window = load::send(side.address, CONNECTIONS, WINDOW, move |_| {
        // A step that shares no divisor with the number of customers visits all of them.
        let step = u64::from(next.fetch_add(1, Ordering::Relaxed)) * 7_919;
        let number = 1 + step % u64::from(customers);
        format!(
            "GET /access?package=acme/tool&version=1.2.3 HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer tok_f{number:031x}\r\n\r\n"
        )
    })
    .await;
    window.rate()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
