//! From a change to those who are told of it: a queue that is bound to the exchange, and the receiver of
//! a hook, at an even pace of changes. The times are those in the bodies, at which the worker began the
//! transaction of the change; so they contain its commit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use futures::StreamExt;
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::{Value, json};
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::time::Timestamp;

use super::{database, purge, queue, rounds, settings};
use crate::program::{ADMIN_TOKEN, Program};
use crate::support::rabbitmq;
use crate::table::Table;
use crate::{Side, bare, event, load};

/// Changes a second: each event has two, a customer and a grant.
const PACE: usize = 500;
const OF_AN_EVENT: usize = 2;
const CONNECTIONS: usize = 10;

/// What came, with the milliseconds since it was.
type Delays = Arc<Mutex<Vec<f64>>>;

pub(crate) async fn measure(table: &mut Table) {
    let mut figures = [const { Vec::new() }; 5];
    for _ in 0..rounds() {
        for (all, figure) in figures.iter_mut().zip(round().await) {
            all.push(figure);
        }
    }
    let [rate, queue_p50, queue_p99, hook_p50, hook_p99] = figures;
    table.add(
        "changes told to a queue and a hook",
        "changes/s",
        rate,
        Vec::new(),
    );
    for (what, p50, p99) in [
        ("change to queue at 500/s", queue_p50, queue_p99),
        ("change to hook at 500/s", hook_p50, hook_p99),
    ] {
        table.add(what, "p50 ms", p50, Vec::new());
        table.add(what, "p99 ms", p99, Vec::new());
    }
}

async fn round() -> [f64; 5] {
    let side = Side::Ours;
    let database = database().await;
    let _queue = queue(side).await;
    purge(side).await;
    let (_connection, channel) = bare::channel(&rabbitmq::shared().url()).await;
    let at_queue = bound(&channel, side).await;
    let (url, at_hook) = receiver().await;
    let mut receiver = Program::start(side, &["receiver"], &database);
    let mut worker = Program::start(side, &["worker"], &database);
    let mut api = Program::start(side, &["api"], &database);
    receiver.until_listening().await;
    worker.until_ready().await;
    api.until_ready().await;
    make_hook(&api, &url).await;

    let seconds = if settings().short { 2 } else { 20 };
    let between = Duration::from_secs(1) * u32::try_from(CONNECTIONS * OF_AN_EVENT).unwrap()
        / u32::try_from(PACE).unwrap();
    let time = Duration::from_secs(seconds);
    let sent = load::send_paced(receiver.address, CONNECTIONS, time, between, |_| {
        event::posted()
    })
    .await;
    let rate = sent.rate() * f64::from(u32::try_from(OF_AN_EVENT).unwrap());
    // The last ones are told.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = at_queue.lock().unwrap().len() + at_hook.lock().unwrap().len();
        if now == before {
            break;
        }
        before = now;
    }
    for program in [&mut receiver, &mut worker, &mut api] {
        program.assert_running();
    }
    drop((receiver, worker, api));
    purge(side).await;
    let [queue, hook] = [&at_queue, &at_hook].map(|it| std::mem::take(&mut *it.lock().unwrap()));
    assert_eq!(queue.len(), hook.len(), "both are told of everything");
    let [queue, hook] = [queue, hook].map(percentiles);
    [rate, queue[0], queue[1], hook[0], hook[1]]
}

fn percentiles(mut delays: Vec<f64>) -> [f64; 2] {
    delays.sort_by(f64::total_cmp);
    [50, 99].map(|part| delays[(delays.len() - 1) * part / 100])
}

fn note(delays: &Delays, body: &[u8]) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let at: Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
    let nanos = SystemClock.now().nanos() - at.nanos();
    let micros = u32::try_from(nanos / 1_000).unwrap();
    delays.lock().unwrap().push(f64::from(micros) / 1_000.0);
}

/// A queue that is bound to all changes, and what comes there.
async fn bound(channel: &Channel, side: Side) -> Delays {
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let nothing = FieldTable::default;
    let declared = channel.queue_declare("".into(), exclusive, nothing());
    let name = declared.await.unwrap().name().clone();
    let exchange = format!("{}.changes", side.prefix());
    let bind = QueueBindOptions::default();
    let bound = channel.queue_bind(
        name.clone(),
        exchange.as_str().into(),
        "#".into(),
        bind,
        nothing(),
    );
    bound.await.unwrap();
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let consumer = channel.basic_consume(name, "changes".into(), options, nothing());
    let mut consumer = consumer.await.unwrap();
    let delays = Delays::default();
    let noted = Arc::clone(&delays);
    tokio::spawn(async move {
        while let Some(Ok(delivery)) = consumer.next().await {
            note(&noted, &delivery.data);
        }
    });
    delays
}

/// The receiver of a hook, and what comes there.
async fn receiver() -> (String, Delays) {
    async fn receive(State(delays): State<Delays>, body: axum::body::Bytes) -> StatusCode {
        note(&delays, &body);
        StatusCode::NO_CONTENT
    }
    let delays = Delays::default();
    let router = Router::new()
        .fallback(receive)
        .with_state(Arc::clone(&delays));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, delays)
}

async fn make_hook(api: &Program, url: &str) {
    let hooks = format!("http://{}/api/v1/apps/default/hooks", api.address);
    let made = reqwest::Client::new()
        .post(hooks)
        .bearer_auth(ADMIN_TOKEN)
        .json(&json!({"url": url, "kinds": ["*"]}))
        .send();
    assert_eq!(made.await.unwrap().status(), 201);
}
