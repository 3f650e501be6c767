//! Events about one customer who has very much: thousands of subscriptions of one account, thousands
//! of accounts with one address, and one event of a megabyte. Each row says how many events a second
//! the pipeline applies to it, in batches as a worker makes them, over the embedded store. Then how long
//! the console takes for the page of a customer of five thousand events, asked for over a connection to this
//! machine: over the embedded store, or that of `DATABASE_URL`, an empty one in PostgreSQL.
//!
//! `cargo bench --bench crowded` (a minute or two); `ONLY=subscriptions`, `accounts`, `large` or `page` for
//! a part, `FEW=1` without the largest sizes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a rig that ends at the first surprise and prints what it saw"
)]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::redirect;
use serde_json::{Value, json};
use tollgate::domain::app_settings::KeptSettings;
use tollgate::domain::id::{AppSlug, Provider};
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::process::{Disposition, process};
use tollgate::provider::{Mode, PADDLE, STRIPE};
use tollgate::queue::Message;
use tollgate::queue::message::{Headers, HeadersV1};
use tollgate::store::Store;

/// 2026-01-05T12:00:00Z.
const NOW: i64 = 1_767_614_400;
/// Messages of a batch.
const BATCH: usize = 64;
/// Events that are measured.
const MEASURED: usize = 640;

const TOKEN: &str = "owner-of-everything-in-benches";
/// 32 bytes in base64.
const KEY: &str = "QkVOQ0gtb25seS1iZW5jaC1vbmx5LTMyLWJ5dGVzLi4=";
/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    store: Store,
    events: u64,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn start(policy: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("t.db"))
            .await
            .unwrap();
        Self::start_in(store, folder, policy).await
    }

    async fn start_in(store: Store, folder: tempfile::TempDir, policy: Value) -> Self {
        store.migrate().await.unwrap();
        let app = tollgate::store::App {
            slug: AppSlug::default_app(),
            name: "Default".to_owned(),
            policy: serde_json::from_value(policy).unwrap(),
            settings: KeptSettings::default(),
            created_at: at(NOW),
        };
        let mut tx = store.begin().await.unwrap();
        tx.app_add(&app).await.unwrap();
        tx.commit().await.unwrap();
        Self {
            store,
            events: 0,
            folder,
        }
    }

    fn message(&mut self, provider: Provider, event_type: &str, object: &Value) -> Message {
        self.events += 1;
        let id = format!("evt_{}", self.events);
        let seconds = NOW + i64::try_from(self.events).unwrap();
        let body = if provider == STRIPE.name {
            json!({"id": id, "object": "event", "type": event_type, "created": seconds,
                   "livemode": true, "data": {"object": object}})
        } else {
            json!({"event_id": id, "event_type": event_type, "data": object,
                   "occurred_at": at(seconds).to_string()})
        };
        Message {
            headers: Headers::V1(HeadersV1 {
                app: AppSlug::default_app(),
                provider,
                receipt: id.clone(),
                event_id: id,
                event_type: event_type.to_owned(),
                received_at: at(NOW),
                mode: Mode::Live,
                attempt: 0,
                origin: tollgate::queue::Origin::default(),
                replay: None,
                error: None,
            }),
            body: body.to_string().into(),
        }
    }

    /// Processes messages in batches of this size; events a second.
    async fn process(&self, messages: &[Message], batch: usize) -> f64 {
        let started = Instant::now();
        for batch in messages.chunks(batch) {
            let batch: Vec<&Message> = batch.iter().collect();
            let done = process(&self.store, &batch, at(NOW)).await.unwrap();
            let is_done = |it: &Disposition| matches!(it, Disposition::Done(_));
            assert!(done.iter().all(is_done), "{done:?}");
        }
        messages.len() as f64 / started.elapsed().as_secs_f64()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

fn subscription(number: usize, account: &str, status: &str) -> Value {
    json!({
        "id": format!("sub_{number}"), "object": "subscription", "customer": account,
        "status": status, "cancel_at": null, "cancel_at_period_end": false,
        "items": {"object": "list", "has_more": false, "data": [{
            "id": "si_1", "quantity": 1, "current_period_end": NOW + 30 * 86_400,
            "price": {"id": "price_basic", "product": "prod_basic"},
        }]},
    })
}

/// The most memory that this process has used so far, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() / 1024
}

async fn subscriptions(number: usize) {
    let mut rig = Rig::start(json!({})).await;
    let made: Vec<Message> = (0..number)
        .map(|it| {
            let it = subscription(it, "cus_1", "active");
            rig.message(STRIPE.name, "customer.subscription.created", &it)
        })
        .collect();
    let made = rig.process(&made, BATCH).await;
    // Every second event changes what is shown of its subscription.
    let updated = |rig: &mut Rig, number_of: usize| -> Vec<Message> {
        (0..number_of)
            .map(|n| {
                let status = if n % 2 == 0 { "past_due" } else { "active" };
                let it = subscription((n * 7) % number, "cus_1", status);
                rig.message(STRIPE.name, "customer.subscription.updated", &it)
            })
            .collect()
    };
    let batched = updated(&mut rig, MEASURED);
    let batched = rig.process(&batched, BATCH).await;
    let single = updated(&mut rig, 40);
    let single = rig.process(&single, 1).await;
    println!("{number:>6} subscriptions of one account {made:>9.0} {batched:>9.0} {single:>9.0}");
}

async fn accounts(number: usize, policy: Value, what: &str) {
    let mut rig = Rig::start(policy).await;
    let customer = |n: usize, name: &str| {
        json!({"id": format!("cus_{n}"), "object": "customer", "email": "ada@example.com",
               "name": name})
    };
    let made: Vec<Message> = (0..number)
        .map(|n| rig.message(STRIPE.name, "customer.created", &customer(n, "Ada")))
        .collect();
    let made = rig.process(&made, BATCH).await;
    let updated = |rig: &mut Rig, number_of: usize| -> Vec<Message> {
        (0..number_of)
            .map(|n| {
                let it = subscription(n % number, &format!("cus_{}", n % number), "active");
                rig.message(STRIPE.name, "customer.subscription.updated", &it)
            })
            .collect()
    };
    let batched = updated(&mut rig, MEASURED);
    let batched = rig.process(&batched, BATCH).await;
    let single = updated(&mut rig, 40);
    let single = rig.process(&single, 1).await;
    println!(
        "{number:>6} accounts of one address, {what:<6} {made:>8.0} {batched:>9.0} {single:>9.0}"
    );
}

/// One event of a megabyte with as many prices as fit.
async fn large(provider: Provider) {
    let mut rig = Rig::start(json!({})).await;
    let mut items: Vec<Value> = Vec::new();
    let mut length = 0;
    while length < 1024 * 1024 - 1000 {
        let n = items.len();
        let item = json!({"price": {"id": format!("p{n}")}});
        length += item.to_string().len() + 1;
        items.push(item);
    }
    let number = items.len();
    let (event_type, object) = if provider == STRIPE.name {
        let mut it = subscription(1, "cus_1", "active");
        it["items"]["data"] = json!(items);
        ("customer.subscription.updated", it)
    } else {
        let it = json!({"id": "sub_1", "customer_id": "ctm_1", "status": "active",
                        "items": items});
        ("subscription.updated", it)
    };
    let message = rig.message(provider, event_type, &object);
    drop((object, items));
    let before = peak_memory();
    let started = Instant::now();
    rig.process(&[message], 1).await;
    println!(
        "{} event with {number} prices: {:.0} ms, peak memory {before} -> {} MiB",
        provider.as_str(),
        started.elapsed().as_secs_f64() * 1000.0,
        peak_memory()
    );
}

/// A server over a store, which ends with this.
struct Console {
    server: Child,
    base: String,
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Console {
    async fn start(folder: &std::path::Path, database: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let server = Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("serve")
            .env_clear()
            .env("TOLLGATE_LISTEN", address.to_string())
            .env("TOLLGATE_DATA_DIR", folder)
            .env("DATABASE_URL", database)
            .env("TOLLGATE_SECRET_KEY", KEY)
            .env("ADMIN_TOKEN", TOKEN)
            .env("TOLLGATE_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let base = format!("http://{address}");
        let started = Instant::now();
        while reqwest::get(format!("{base}/readyz")).await.is_err() {
            assert!(started.elapsed() < PATIENCE, "the server is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { server, base }
    }
}

/// The page of a customer of five thousand events, a third of which are invoices.
async fn page() {
    let folder = tempfile::tempdir().unwrap();
    let (store, database) = if let Ok(url) = std::env::var("DATABASE_URL") {
        (Store::open_postgres(&url.clone().into()).unwrap(), url)
    } else {
        let file = folder.path().join("t.db");
        let store = Store::open_sqlite(&file).await.unwrap();
        (store, format!("sqlite://{}", file.display()))
    };
    let mut rig = Rig::start_in(store, folder, json!({})).await;
    let events: Vec<Message> = (0..5_000)
        .map(|nth| {
            if nth % 3 == 2 {
                return rig.message(STRIPE.name, "invoice.paid", &invoice(nth));
            }
            let mut object = subscription(1, "cus_1", "active");
            object["metadata"] = json!({"number": nth.to_string()});
            rig.message(STRIPE.name, "customer.subscription.updated", &object)
        })
        .collect();
    rig.process(&events, BATCH).await;

    let console = Console::start(rig.folder.path(), &database).await;
    let base = &console.base;
    let client = reqwest::Client::builder().redirect(redirect::Policy::none());
    let client = client.build().unwrap();
    let found = client.get(format!("{base}/api/v1/customers/by-external/stripe_cus_1"));
    let found = found.bearer_auth(TOKEN).send().await.unwrap();
    let found: Value = found.json().await.unwrap();
    let id = found["id"].as_str().unwrap();
    let signed_in = client
        .post(format!("{base}/console/sign-in"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(format!("token={TOKEN}"))
        .send()
        .await
        .unwrap();
    let cookie = signed_in.headers()[SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    println!("page of a customer of 5,000 events, ms        p50   slowest of 40");
    for query in ["", "?kind=webhook", "?kind=payment"] {
        let mut times = Vec::new();
        for _ in 0..40 {
            let started = Instant::now();
            let page = client.get(format!("{base}/console/customers/{id}{query}"));
            let page = page.header(COOKIE, cookie).send().await.unwrap();
            assert_eq!(page.status(), 200);
            assert!(page.text().await.unwrap().contains("cus_1"));
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        println!("{query:<43}{:>6.1} {:>15.1}", times[19], times[39]);
    }
}

fn invoice(nth: usize) -> Value {
    let at = NOW + i64::try_from(nth).unwrap();
    json!({
        "id": format!("in_{nth}"), "object": "invoice", "customer": "cus_1",
        "subscription": "sub_1", "status": "paid", "amount_paid": 900, "total": 900,
        "currency": "eur", "billing_reason": "subscription_cycle",
        "lines": {"object": "list", "has_more": false, "data": [{
            "id": format!("il_{nth}"), "object": "line_item", "amount": 900,
            "subscription": "sub_1", "subscription_item": "si_1",
            "price": {"id": "price_basic"}, "period": {"start": at, "end": at + 60},
        }]},
    })
}

#[tokio::main]
async fn main() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let few = std::env::var("FEW").is_ok();
    let wanted = |part: &str| only.is_empty() || only == part;
    if wanted("large") {
        large(STRIPE.name).await;
        large(PADDLE.name).await;
    }
    if wanted("page") {
        // What reqwest asks for, although nothing here is encrypted.
        tollgate::tls::use_ring();
        page().await;
    }
    println!("events a second                       made   batched    single");
    if wanted("subscriptions") {
        for number in [10, 100, 1000, 5000] {
            if number < 5000 || !few {
                subscriptions(number).await;
            }
        }
    }
    if wanted("accounts") {
        for number in [10, 300, 3000] {
            if number < 3000 || !few {
                accounts(number, json!({}), "flag").await;
            }
        }
    }
}
