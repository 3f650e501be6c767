//! The admin API over a million customers: one of each kind is made through the front door, by
//! webhooks and by hand, and copied a million times inside a PostgreSQL of its own. Then a server is
//! asked over HTTP, one question after the other.
//!
//! `cargo bench --bench scale` (a few minutes); `CUSTOMERS=100000` for another number. `FLAT=1`
//! compares with 10,000 customers instead, asks for access and drains a backlog too, and gives each
//! customer five events, a tenth of them with their payload: some 15 GB below the folder for
//! temporary files (`TMPDIR`).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a rig that ends at the first surprise and prints what it saw"
)]

mod backlog;
mod copies;
#[path = "../throughput/drained.rs"]
mod drained;
#[expect(dead_code, reason = "the other benchmark uses more of it")]
#[path = "../throughput/event.rs"]
mod event;
mod flat;
#[expect(dead_code, reason = "the other benchmark uses more of it")]
#[path = "../throughput/load.rs"]
mod load;
#[expect(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the tests use the rest"
)]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use copies::{copy, make_one};
use support::postgres::Cluster;
use support::{ADMIN_TOKEN, SECRET_KEY, client, environment};

/// Questions of each kind.
const ASKED: u32 = 500;
type Settings = BTreeMap<OsString, OsString>;

fn settings(folder: &Path, url: &SecretString) -> Settings {
    let mut settings = environment(folder);
    settings.insert("DATABASE_URL".into(), url.expose_secret().into());
    settings.insert("TOLLGATE_SECRET_KEY".into(), SECRET_KEY.into());
    settings
}

/// The process that is asked.
struct Api {
    child: Child,
    base: String,
    client: reqwest::Client,
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Api {
    async fn start(settings: &Settings) -> Self {
        static STARTED: AtomicU16 = AtomicU16::new(0);
        let port = 19_000 + u16::try_from(std::process::id() % 500).unwrap();
        let port = port + 500 * STARTED.fetch_add(1, Ordering::Relaxed);
        let child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("serve")
            .env_clear()
            .envs(settings)
            .env("TOLLGATE_LISTEN", format!("127.0.0.1:{port}"))
            .env("TOLLGATE_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let api = Self {
            child,
            base: format!("http://127.0.0.1:{port}"),
            client: client(),
        };
        let started = Instant::now();
        while api
            .client
            .get(format!("{}/readyz", api.base))
            .send()
            .await
            .is_err()
        {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "the API is not ready"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        api
    }

    /// One question; the answer and how long it took.
    async fn ask(&self, path: &str, token: &str) -> (Value, Duration) {
        let started = Instant::now();
        let request = self.client.get(format!("{}{path}", self.base));
        let answer = request.bearer_auth(token).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        let took = started.elapsed();
        assert_eq!(status, 200, "{path}: {body}");
        (body, took)
    }

    /// The most memory that the process has used so far, in MiB.
    fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }
}

/// Times of one kind of question.
struct Times(Vec<Duration>);

impl Times {
    fn at(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index below the number of questions"
        )]
        let index = ((self.0.len() - 1) as f64 * share) as usize;
        self.0[index].as_secs_f64() * 1000.0
    }

    fn print(mut self, what: &str, limit: Option<f64>) -> bool {
        let (median, late) = (self.at(0.5), self.at(0.99));
        let right = limit.is_none_or(|limit| median < limit);
        let limit = limit.map_or_else(String::new, |limit| format!("  below {limit} ms"));
        let verdict = if right { "" } else { "  TOO SLOW" };
        println!("{what:<44} {median:8.2} {late:8.2}{limit}{verdict}");
        right
    }
}

/// Asks for many customers, spread over all of them.
async fn spread(api: &Api, customers: u32, path: impl Fn(&str) -> String) -> Times {
    let mut times = Vec::new();
    for n in 0..ASKED {
        let number = 1 + n * (customers / ASKED).max(1) % customers;
        let (_, took) = api
            .ask(&path(&format!("f{number:031x}")), ADMIN_TOKEN)
            .await;
        times.push(took);
    }
    Times(times)
}

/// Asks the same some times.
async fn again(api: &Api, times: u32, path: &str) -> Times {
    let mut took = Vec::new();
    for _ in 0..times {
        took.push(api.ask(path, ADMIN_TOKEN).await.1);
    }
    Times(took)
}

/// Walks the whole list by cursor; the times of its first and of its last pages.
async fn walk(api: &Api, customers: u32) -> (Times, Times) {
    let (mut times, mut seen, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let path = format!("/api/v1/customers?page_size=100&cursor={cursor}");
        let (page, took) = api.ask(&path, ADMIN_TOKEN).await;
        seen += page["data"].as_array().unwrap().len();
        times.push(took);
        match page["meta"]["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(
        seen,
        usize::try_from(customers).unwrap() + 1,
        "every customer once"
    );
    // The last page of all may be short.
    times.pop();
    let part = (times.len() / 10).max(1);
    let last = times.split_off(times.len() - part);
    times.truncate(part);
    (Times(times), Times(last))
}

/// Reads the merchant list to its end without keeping it; its size in MiB and how long it took.
async fn stream(api: &Api) -> (usize, Duration) {
    let started = Instant::now();
    let request = api.client.get(format!("{}/api/customers", api.base));
    let request = request.timeout(Duration::from_mins(10));
    let mut answer = request.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (mut size, mut end) = (0, Vec::new());
    while let Some(chunk) = answer.chunk().await.unwrap() {
        size += chunk.len();
        end.extend_from_slice(&chunk);
        end.drain(..end.len().saturating_sub(2));
    }
    assert_eq!(end, b"]}", "the list came whole");
    (size / 1024 / 1024, started.elapsed())
}

#[tokio::main]
async fn main() {
    let customers: u32 = std::env::var("CUSTOMERS")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(1_000_000);
    if std::env::var_os("FLAT").is_some() {
        return flat::compare(customers).await;
    }
    let cluster = Cluster::start();
    let url = cluster.create("scale", "template1").await;
    let started = Instant::now();
    make_one(&url).await;
    let mut database = PgConnection::connect(url.expose_secret()).await.unwrap();
    copy(&mut database, customers).await;
    println!(
        "{customers} customers made in {:.0} s",
        started.elapsed().as_secs_f64()
    );

    let folder = tempfile::tempdir().unwrap();
    let api = Api::start(&settings(folder.path(), &url)).await;
    let customers_path = "/api/v1/customers";

    println!("{:<44} {:>8} {:>8}", "milliseconds", "median", "p99");
    let mut right = true;
    let times = spread(&api, customers, |m| format!("{customers_path}/cust_{m}")).await;
    right &= times.print("by id", Some(5.0));
    let times = spread(&api, customers, |m| {
        format!("{customers_path}/by-external/stripe_cus_{m}")
    })
    .await;
    right &= times.print("by external id", Some(5.0));
    let times = spread(&api, customers, |m| {
        format!("{customers_path}/by-email?email=c{m}@example.com")
    })
    .await;
    right &= times.print("by e-mail", Some(5.0));
    let times = again(&api, ASKED, &format!("{customers_path}?cursor=")).await;
    right &= times.print("first page by cursor", Some(5.0));
    let times = again(&api, 50, &format!("{customers_path}?page=1")).await;
    right &= times.print("page 1 with its total", Some(150.0));
    let times = again(&api, 50, &format!("{customers_path}?page=50")).await;
    right &= times.print("page 50 with its total", Some(150.0));
    let mut access = Vec::new();
    for n in 0..ASKED {
        let token = format!(
            "tok_f{:031x}",
            1 + n * (customers / ASKED).max(1) % customers
        );
        access.push(
            api.ask("/access?package=acme/tool&version=1.2.3", &token)
                .await
                .1,
        );
    }
    right &= Times(access).print("access check", Some(5.0));

    let (mut first, mut last) = walk(&api, customers).await;
    let ratio = last.at(0.5) / first.at(0.5);
    first.print("walk by cursor, the first tenth", None);
    last.print("walk by cursor, the last tenth", None);
    println!("the last tenth takes {ratio:.2} of the first");
    right &= ratio < 1.5;

    let before = api.peak_memory();
    let (size, took) = stream(&api).await;
    let after = api.peak_memory();
    println!(
        "merchant list: {size} MiB in {:.1} s; peak memory {before} MiB before, {after} MiB after",
        took.as_secs_f64()
    );
    right &= after < before + 64;
    println!(
        "{}",
        if right {
            "all within their limits"
        } else {
            "THIS IS NOT RIGHT"
        }
    );
    if !right {
        std::process::exit(1);
    }
}
