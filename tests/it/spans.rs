//! Spans as a collector gets them: from the program itself, over HTTP.
//!
//! Only a program that was built with the feature `otel` sends any; so these tests are there only then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use tollgate::clock::{Clock, SystemClock};
use tollgate::provider::STRIPE;

use crate::support::rabbitmq;
use crate::support::serving::{Serving, quiet_port};
use crate::support::spec::{header_name, sign};
use crate::support::stores::{Engine, Place, on_both_stores};
use crate::support::{
    PATIENCE, SECRET_KEY, client, environment, seconds_from_now, secret, stripe_customer,
    stripe_event,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDER: &str = "00f067aa0ba902b7";

/// A span, as far as its place in a trace goes. Ids are hexadecimal.
#[derive(Clone, Debug)]
struct Sent {
    trace: String,
    id: String,
    parent: String,
}

/// The fields of a message in protobuf that are bytes, texts or messages, by their numbers.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = message.split_first().unwrap();
            *message = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let skipped = match key & 7 {
            0 => {
                varint(&mut message);
                0
            }
            1 => 8,
            2 => {
                let length = usize::try_from(varint(&mut message)).unwrap();
                found.push((key >> 3, &message[..length]));
                length
            }
            5 => 4,
            other => panic!("a field of type {other}"),
        };
        message = &message[skipped..];
    }
    found
}

fn inner(messages: Vec<&[u8]>, number: u64) -> Vec<&[u8]> {
    let all = messages.into_iter().flat_map(fields);
    all.filter_map(|(it, field)| (it == number).then_some(field))
        .collect()
}

/// Reads `ExportTraceServiceRequest`; the numbers are those of opentelemetry-proto's `trace.proto`.
fn read(request: &[u8]) -> Vec<(String, Sent)> {
    let spans = inner(inner(inner(vec![request], 1), 2), 2);
    let span = |message: &[u8]| {
        let one = |number| inner(vec![message], number).first().copied();
        let id = |number| hex::encode(one(number).unwrap_or_default());
        let name = String::from_utf8(one(5).unwrap().to_vec()).unwrap();
        let sent = Sent {
            trace: id(1),
            id: id(2),
            parent: id(4),
        };
        (name, sent)
    };
    spans.into_iter().map(span).collect()
}

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Sent)>>>);

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let kept = collector.clone();
        let taking = async move |headers: HeaderMap, body: Bytes| kept.take(&headers, &body);
        let router = Router::new().route("/v1/traces", post(taking));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, base)
    }

    fn take(&self, headers: &HeaderMap, body: &Bytes) {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        self.0.lock().unwrap().extend(read(body));
    }

    /// Waits for the spans of the sender's trace until these names are among them.
    async fn until(&self, names: &[&str]) -> BTreeMap<String, Sent> {
        let started = Instant::now();
        loop {
            let all = self.0.lock().unwrap().clone();
            let ours = all.into_iter().filter(|(_, span)| span.trace == TRACE);
            let ours: BTreeMap<String, Sent> = ours.collect();
            if names.iter().all(|name| ours.contains_key(*name)) {
                return ours;
            }
            assert!(started.elapsed() < 3 * PATIENCE, "{ours:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

async fn the_span_of_an_event_continues_the_trace_of_its_webhook(engine: Engine) {
    let (collector, endpoint) = Collector::start().await;
    let place = Place::new(engine).await;
    let folder = tempfile::tempdir().unwrap();
    let mut environment = environment(folder.path());
    let mut set = |name: &str, value: &str| environment.insert(name.into(), value.into());
    set("TOLLGATE_LISTEN", &format!("127.0.0.1:{}", quiet_port()));
    set("DATABASE_URL", &place.url());
    set("TOLLGATE_SECRET_KEY", SECRET_KEY);
    set("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    // Milliseconds; the standard waits five seconds.
    set("OTEL_BSP_SCHEDULE_DELAY", "50");
    // With a broker beside one of the stores, so that it goes through both queues.
    if engine == Engine::Postgres {
        set("AMQP_URL", &rabbitmq::shared().url());
        set("TOLLGATE_AMQP_PREFIX", &rabbitmq::prefix());
    }
    let serving = Serving::start(&environment).await;

    let contact = stripe_customer("cus_1", "ada@example.com");
    let event = stripe_event("evt_1", "customer.created", seconds_from_now(-10), contact);
    let body = event.to_string().into_bytes();
    let signature = sign(STRIPE.name, &secret(STRIPE.name), &body, SystemClock.now());
    let answer = client()
        .post(format!("{}/webhooks/stripe", serving.base))
        .header(header_name(STRIPE.name), signature)
        .header("traceparent", format!("00-{TRACE}-{SENDER}-01"))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);

    let names = [
        "http.request.serve",
        "http.webhook.receive",
        "pipeline.event.process",
    ];
    let spans = collector.until(&names).await;
    let [request, webhook, processing] = names.map(|name| spans[name].clone());
    assert_eq!(request.parent, SENDER);
    assert_eq!(webhook.parent, request.id);
    assert_eq!(processing.parent, webhook.id);
    assert!(serving.terminate().success());
}

on_both_stores! {
    the_span_of_an_event_continues_the_trace_of_its_webhook,
}
