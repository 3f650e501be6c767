//! Whatever was lost, a comparison brings it back: histories that `simulate` draws, of which some
//! events never arrive, end as its model says.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use serde_json::Value;
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::event::EventError;
use tollgate::domain::id::AppSlug;
use tollgate::domain::mode::Mode;
use tollgate::domain::reconcile::ReconcileStatus;
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::process::process;
use tollgate::pipeline::reconcile::Wanted;
use tollgate::provider::{PADDLE, STRIPE};
use tollgate::queue::message::{Headers, HeadersV1};
use tollgate::queue::{Message, Origin};
use tollgate::store::Store;
use tollgate::store::reconcile::Reconcile;

use super::rig::run;
use crate::support::fake_api::{FakeApi, fold, is_own};
use crate::support::program::{err, out, tollgate};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{ADMIN_TOKEN, TestServer, seconds_from_now};

/// A history, and the command that draws it.
struct History {
    /// Its end, in seconds since 1970.
    until: i64,
    arguments: Vec<String>,
    events: Vec<Value>,
}

impl History {
    /// Draws one. Traffic that ended a while ago, so that no timer is due while the test runs.
    async fn draw(seed: u64, customers: u32, months: u32) -> Self {
        let until = seconds_from_now(-60 * 86_400) / 86_400 * 86_400;
        let at = Timestamp::from_seconds(until).unwrap();
        let arguments = [
            "simulate".to_owned(),
            "--seed".to_owned(),
            seed.to_string(),
            "--customers".to_owned(),
            customers.to_string(),
            "--months".to_owned(),
            months.to_string(),
            "--until".to_owned(),
            at.to_string(),
        ];
        let mut history = Self {
            until,
            arguments: arguments.into(),
            events: Vec::new(),
        };
        let output = history.run(&["--dry-run"]).await;
        let lines = output.lines();
        history.events = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        history
    }

    async fn run(&self, more: &[&str]) -> String {
        let arguments = self.arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = arguments.chain(more.iter().copied()).collect();
        let token = (OsString::from("ADMIN_TOKEN"), ADMIN_TOKEN.into());
        let output = tollgate(&arguments, BTreeMap::from([token])).await;
        let text = format!("{}{}", out(&output), err(&output));
        assert!(output.status.success(), "{text}");
        text
    }
}

fn id(event: &Value) -> &str {
    let id = event["event_id"].as_str().or(event["id"].as_str());
    id.unwrap_or_default()
}

/// Processes those events that no comparison can bring back, because the seller's key does not show
/// them: of connected accounts, of test mode, simulated.
async fn bring_what_is_not_listed(store: &Store, app: &AppSlug, events: &[Value]) {
    for event in events.iter().filter(|event| !is_own(event)) {
        let is_paddle = event["event_id"].is_string();
        let (provider, event_type) = if is_paddle {
            (PADDLE.name, &event["event_type"])
        } else {
            (STRIPE.name, &event["type"])
        };
        let headers = HeadersV1 {
            app: app.clone(),
            provider,
            event_id: id(event).to_owned(),
            event_type: event_type.as_str().unwrap().to_owned(),
            received_at: SystemClock.now(),
            mode: Mode::Any,
            receipt: format!("again-{}", id(event)),
            attempt: 0,
            origin: Origin::default(),
            replay: None,
            error: None,
        };
        let message = Message {
            headers: Headers::V1(headers),
            body: event.to_string().into(),
        };
        process(store, &[&message], SystemClock.now())
            .await
            .unwrap();
    }
}

/// Compares an app with both providers; returns the comparisons that ended well, and how much was
/// repaired.
async fn reconcile(store: &Store, apis: &Apis, app: &AppSlug) -> (Vec<Reconcile>, u64) {
    let (mut ended, mut repaired) = (Vec::new(), 0);
    for provider in [STRIPE.name, PADDLE.name] {
        let it = loop {
            let wanted = Wanted {
                provider,
                since: None,
                dry_run: false,
            };
            let it = run(store, apis, app, wanted).await;
            repaired += it.found.repaired;
            // The server works on the same store and has no key: a step that it takes ends the
            // comparison, and the next one begins anew.
            let is_servers = |error: &EventError| error.code == "api_key_needed";
            if !it.error.as_ref().is_some_and(is_servers) {
                break it;
            }
        };
        assert_eq!(it.status(), ReconcileStatus::Finished, "{:?}", it.error);
        assert_eq!(it.found.total().unreadable, 0, "{:?}", it.found);
        ended.push(it);
    }
    (ended, repaired)
}

/// The providers at the end of a history, by their own clocks too.
async fn apis_of(history: &History, app: &AppSlug) -> (Apis, Vec<FakeApi>) {
    let (stripe, paddle) = fold(&history.events);
    let stripe = FakeApi::serve(STRIPE.name, Arc::new(stripe)).await;
    let paddle = FakeApi::serve(PADDLE.name, Arc::new(paddle)).await;
    for api in [&stripe, &paddle] {
        api.set_ahead(history.until - api.now());
    }
    let apis = Apis::default()
        .and(app.clone(), stripe.api())
        .and(app.clone(), paddle.api());
    (apis, vec![stripe, paddle])
}

async fn whatever_is_lost_comes_back(engine: Engine) {
    let server = TestServer::start(engine).await;
    let mut lost = 0;
    for (seed, drop) in [(21, "0.3"), (22, "0.6"), (23, "0.9")] {
        let history = History::draw(seed, 12, 4).await;
        let app: AppSlug = format!("simulation-{seed}").parse().unwrap();
        history
            .run(&["--url", &server.base, "--drop", drop, "--shuffle"])
            .await;
        let store = server.server.store();
        let (apis, _serving) = apis_of(&history, &app).await;
        bring_what_is_not_listed(store, &app, &history.events).await;
        lost += reconcile(store, &apis, &app).await.1;
        history.run(&["--url", &server.base, "--check"]).await;
        for again in reconcile(store, &apis, &app).await.0 {
            assert_eq!(again.found.drift(), 0, "seed {seed}: {:?}", again.found);
        }
        history.run(&["--url", &server.base, "--check"]).await;
    }
    assert!(lost > 300, "{lost} differences would be no test");
    server.stop().await;
}

async fn beside_live_traffic_nothing_is_lost(engine: Engine) {
    let server = TestServer::start(engine).await;
    let history = History::draw(24, 12, 4).await;
    let app: AppSlug = "simulation-24".parse().unwrap();
    let (apis, _serving) = apis_of(&history, &app).await;
    let arguments = ["--url", &server.base, "--shuffle", "--duplicate", "0.1"];
    let posting = history.run(&arguments);
    let store = server.server.store();
    let comparing = async {
        // What an admin makes before the first webhook is made by then.
        let begun = "SELECT COUNT(*) FROM events WHERE type <> 'simulation.started'";
        while server.place.count(begun, begun).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        reconcile(store, &apis, &app).await
    };
    tokio::join!(posting, comparing);
    history.run(&["--url", &server.base, "--check"]).await;
    server.stop().await;
}

on_both_stores! { whatever_is_lost_comes_back, beside_live_traffic_nothing_is_lost }
