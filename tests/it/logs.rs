//! The log of a running server: what it tells, what it never tells, and how long it becomes.

mod private;
mod requests;
mod rig;

use serde_json::{Value, json};
use tollgate::provider::STRIPE;

use crate::fault_rig::proxy::{Proxy, Traffic};
use crate::support::postgres::SHARED;
use crate::support::rabbitmq::{rough, shared};
use crate::support::stores::{Engine, Place, on_both_stores};
use crate::support::{seconds_from_now, stripe_customer, stripe_event, stripe_subscription};
use rig::Process;

fn sign_up(n: usize) -> Value {
    let customer = stripe_customer(&format!("cus_Q{n:013}"), &format!("c{n}@example.com"));
    let id = format!("evt_1QEw2xLkdIwHu7ix{n:08}");
    stripe_event(&id, "customer.created", seconds_from_now(-100), customer)
}

fn subscribed(n: usize, second: i64, status: &str) -> Value {
    let subscription = stripe_subscription(
        &format!("sub_1QEw2xLkdIwHu7ix{n:08}"),
        &format!("cus_Q{n:013}"),
        status,
    );
    let id = format!("evt_1Q{status:E<18}{n:08}");
    let at = seconds_from_now(second - 90);
    stripe_event(&id, "customer.subscription.updated", at, subscription)
}

/// A subscription event without what it cannot do without.
fn broken() -> Value {
    let at = seconds_from_now(-80);
    let object = json!({ "id": "sub_1" });
    stripe_event("evt_broken", "customer.subscription.updated", at, object)
}

async fn each_event_has_one_line_that_tells_its_outcome(engine: Engine) {
    let mut server = Process::start(engine, None, "json", "info").await;
    let before = [sign_up(1), subscribed(1, 0, "active")];
    let after = [sign_up(1), subscribed(1, 9, "unpaid"), broken()];
    for (events, done) in [(&before[..], 2), (&after[..], 4)] {
        for event in events {
            assert_eq!(server.post(STRIPE.name, event).await.0, 200);
        }
        server.until_done(done).await;
    }
    let failed = server.until_logged("cannot be understood").await;
    assert!(!failed.is_empty());
    server.stop();
    let lines: Vec<Value> = server
        .lines()
        .into_iter()
        .filter(|line| !line["event.id"].is_null())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            assert_eq!((&*text("app"), &*text("provider")), ("default", "stripe"));
            assert!(line["duration_ms"].as_u64().is_some(), "{line}");
            let id = text("customer.id");
            assert_eq!(
                text("outcome") == "applied",
                id.starts_with("cust_"),
                "{line}"
            );
            [
                text("level"),
                text("event.type"),
                text("outcome"),
                text("change"),
            ]
        })
        .collect();
    let mut told = told;
    told.sort();
    let updated = "customer.subscription.updated";
    assert_eq!(
        told,
        [
            ["ERROR", updated, "failed", ""],
            ["INFO", "customer.created", "applied", "created"],
            ["INFO", "customer.created", "duplicate", ""],
            ["INFO", updated, "applied", "+acme/tool"],
            ["INFO", updated, "applied", "active->suspended"],
        ]
    );
    let failed = lines.iter().find(|it| it["level"] == "ERROR").unwrap();
    assert!(failed["error.code"].is_string() && failed["error"].is_string());
}

async fn the_first_line_says_what_is_served(engine: Engine) {
    let broker = shared().url();
    let broker = (engine == Engine::Postgres).then_some(&*broker);
    let mut server = Process::start(engine, broker, "json", "info").await;
    server.stop();
    let line = server
        .lines()
        .into_iter()
        .find(|it| it["message"] == "serving");
    let line = line.unwrap();
    let expected = match engine {
        Engine::Sqlite => ("sqlite", "built-in"),
        Engine::Postgres => ("postgres", "rabbitmq"),
    };
    let text = |name: &str| line[name].as_str().unwrap();
    assert_eq!((text("store"), text("queue")), expected);
    assert_eq!(text("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(text("roles"), "receiver,worker,api");
    assert_eq!(text("webhook.secrets"), "stripe:1,paddle:1");
}

/// 2.5 MB of text and 4 MB of JSON for ten thousand webhooks, and a few bytes more where a machine is so
/// busy that durations have more digits.
async fn a_webhook_costs_few_bytes(engine: Engine) {
    for (format, most) in [("text", 255), ("json", 405)] {
        let mut server = Process::start(engine, None, format, "info").await;
        let quiet = server.text().len();
        let mut sent = 0;
        for n in 0..50 {
            for event in [
                sign_up(n),
                subscribed(n, 0, "active"),
                subscribed(n, 9, "unpaid"),
                sign_up(n),
            ] {
                assert_eq!(server.post(STRIPE.name, &event).await.0, 200);
                sent += 1;
            }
        }
        server.until_done(sent).await;
        let text = server.text();
        let each = (text.len() - quiet) / sent;
        assert!(each <= most, "{format}: {each} bytes each:\n{text}");
        server.stop();
    }
}

on_both_stores! {
    each_event_has_one_line_that_tells_its_outcome,
    the_first_line_says_what_is_served,
    a_webhook_costs_few_bytes,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refused_webhooks_is_counted() {
    let mut server = Process::start(Engine::Sqlite, None, "json", "info").await;
    let mut refused = 0;
    for _ in 0..300 {
        let status = server.post_bytes("/webhooks/acme/stripe", "t=1,v1=00", b"{}".into());
        assert_eq!(status.await, 404);
        refused += 1;
    }
    server.stop();
    let lines = server.lines();
    let of_flood = |it: &&Value| it["message"].as_str().unwrap().contains("webhook refused");
    let lines: Vec<&Value> = lines.iter().filter(of_flood).collect();
    assert!(lines.len() < 30, "{lines:?}");
    let counted: u64 = lines
        .iter()
        .map(|it| it["repeated"].as_u64().unwrap_or(1))
        .sum();
    assert_eq!(counted, refused);
}

/// The broker's client calls it an error when a connection ends that we closed.
#[tokio::test(flavor = "multi_thread")]
async fn figures_of_a_healthy_queue_leave_nothing_in_the_log() {
    let broker = shared().url();
    let filter = "info,lapin=info";
    let mut server = Process::start(Engine::Postgres, Some(&broker), "json", filter).await;
    let before = server.lines().len();
    for _ in 0..3 {
        let (status, figures) = server.call("GET", "/api/v1/stats", None).await;
        assert_eq!(status, 200, "{figures}");
        assert_eq!(figures["queue"]["work"], 0, "{figures}");
    }
    let mut lines = server.lines().split_off(before);
    // After its start a worker looks for the queues of an older version, which are not there.
    lines.retain(|line| !line.to_string().contains("NOT_FOUND - no queue"));
    assert!(lines.is_empty(), "{lines:#?}");
    server.stop();
}

/// The only line that begins with these words.
fn only<'a>(lines: &'a [Value], words: &str) -> &'a Value {
    let all = lines.iter();
    let found = all.filter(|it| it["message"].as_str().unwrap().starts_with(words));
    let found: Vec<&Value> = found.collect();
    let [line] = *found else {
        panic!("{words:?}: {lines:#?}");
    };
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_store_is_told_at_its_start_and_its_end() {
    let place = Place::new(Engine::Postgres).await;
    let port = SHARED.port();
    let proxy = Proxy::to(port);
    let through = place
        .url()
        .replace(&port.to_string(), &proxy.port.to_string());
    let broker = shared().url();
    let mut server = Process::start_over(place, &through, Some(&broker), "json", "info").await;
    assert_eq!(server.post(STRIPE.name, &sign_up(0)).await.0, 200);
    server.until_done(1).await;
    proxy.set(Traffic::Cut);
    for n in 1..=5 {
        assert_eq!(server.post(STRIPE.name, &sign_up(n)).await.0, 200);
    }
    server.until_logged("the store is away").await;
    // Several tries of several loops, none of which is news.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    proxy.set(Traffic::Flows);
    server.until_done(6).await;
    server.until_logged("the store answers again").await;
    server.stop();
    let lines = server.lines();
    assert_eq!(only(&lines, "the store is away")["level"], "WARN");
    let end = only(&lines, "the store answers again");
    assert!(end["outage_ms"].as_u64().unwrap() >= 2_000, "{end}");
    let warnings = lines.iter().filter(|it| it["level"] == "WARN").count();
    let errors = lines.iter().filter(|it| it["level"] == "ERROR").count();
    assert!(warnings <= 4 && errors == 0, "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_broker_is_told_at_its_start_and_its_end() {
    let mut broker = rough().await;
    let url = broker.url();
    let mut server = Process::start(Engine::Postgres, Some(&url), "json", "info").await;
    broker.kill();
    for n in 0..20 {
        assert_eq!(server.post(STRIPE.name, &sign_up(n)).await.0, 200);
    }
    broker.restart();
    server.until_done(20).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(server.post(STRIPE.name, &sign_up(20)).await.0, 200);
    server.until_done(21).await;
    server.stop();
    let lines = server.lines();
    let start = only(&lines, "the queue does not accept messages");
    assert_eq!(start["level"], "WARN");
    let end = only(&lines, "the queue accepts messages again");
    assert_eq!(end["messages"], 20);
    assert!(end["outage_ms"].as_u64().unwrap() > 0);
    let warnings = lines.iter().filter(|it| it["level"] == "WARN").count();
    let errors = lines.iter().filter(|it| it["level"] == "ERROR").count();
    assert!(warnings <= 6 && errors == 0, "{lines:#?}");
}
