//! What the receiver takes and refuses.

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tollgate::clock::{Clock, SystemClock};
use tollgate::config::{Config, Source};
use tollgate::domain::id::Provider;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{self, Mode, PADDLE, STRIPE, Secret};

use crate::support::spec::{header_name, sign, verify};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{
    ADMIN_TOKEN, PATIENCE, TestServer, environment, seconds_from_now, secret, stripe_customer,
    stripe_event,
};

fn sign_up(id: &str) -> Value {
    let customer = stripe_customer("cus_1", "one@example.com");
    stripe_event(id, "customer.created", seconds_from_now(-100), customer)
}

/// The signature of a body, so many seconds old.
fn signature(provider: Provider, key: &SecretString, body: &[u8], age: i64) -> String {
    let then = SystemClock.now().seconds() - age;
    sign(provider, key, body, Timestamp::from_seconds(then).unwrap())
}

/// Posts a body under a header; status and code.
async fn post(server: &TestServer, provider: Provider, header: &str, body: &[u8]) -> (u16, Value) {
    let url = format!("{}/webhooks/{provider}", server.base);
    let request = server
        .client
        .post(url)
        .header(header_name(provider), header);
    let answer = request.body(body.to_vec()).send().await.unwrap();
    let status = answer.status().as_u16();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    (status, answer["code"].clone())
}

async fn trap_08_without_a_secret_there_is_no_endpoint(engine: Engine) {
    let server = TestServer::start_with(engine, |environment| {
        environment.remove(std::ffi::OsStr::new("STRIPE_WEBHOOK_SECRET"));
    })
    .await;
    let body = sign_up("evt_1").to_string().into_bytes();
    for key in ["", "whsec_"] {
        let header = signature(STRIPE.name, &key.into(), &body, 0);
        let refused = post(&server, STRIPE.name, &header, &body).await;
        assert_eq!(
            refused,
            (404, json!("endpoint_unknown")),
            "signed with {key:?}"
        );
    }
    server.stop().await;

    let folder = tempfile::tempdir().unwrap();
    for blank in ["", "  ", ","] {
        let mut environment = environment(folder.path());
        environment.insert("STRIPE_WEBHOOK_SECRET".into(), blank.into());
        let source = Source {
            environment,
            file: None,
        };
        assert!(Config::load(&source).is_err(), "{blank:?} is no secret");
        let key = SecretString::from(blank.to_owned());
        let header = signature(STRIPE.name, &key, &body, 0);
        let secrets = [Secret {
            id: None,
            mode: Mode::Any,
            key,
        }];
        let tolerance = std::time::Duration::from_mins(5);
        let header = Some(header.as_bytes());
        let now = SystemClock.now();
        let verified = verify(STRIPE.name, header, &body, &secrets, now, tolerance);
        assert_eq!(verified.is_err(), blank.trim().is_empty(), "{blank:?}");
    }
}

async fn trap_09_any_hash_of_paddles_counts_and_age_is_checked(engine: Engine) {
    let server = TestServer::start(engine).await;
    let (paddle, key) = (PADDLE.name, secret(PADDLE.name));
    let body = json!({
        "event_id": "evt_1", "event_type": "customer.created", "notification_id": "ntf_1",
        "occurred_at": "2026-03-09T09:00:00.1Z",
        "data": { "id": "ctm_1", "email": "one@example.com" },
    });
    let body = body.to_string().into_bytes();
    let header = signature(paddle, &key, &body, 0);
    let (time, hash) = header.split_once(';').unwrap();
    let wrong = format!("h1={}", "0".repeat(64));
    for header in [
        format!("{time};{wrong};{hash}"),
        format!("{time};{hash};{wrong}"),
    ] {
        assert_eq!(
            post(&server, paddle, &header, &body).await.0,
            200,
            "{header}"
        );
    }
    let old = signature(paddle, &key, &body, 3_600);
    let refused = post(&server, paddle, &old, &body).await;
    assert_eq!(refused, (400, json!("signature_too_old")));
    server.stop().await;
}

async fn trap_10_an_honest_delivery_may_be_minutes_old(engine: Engine) {
    let server = TestServer::start(engine).await;
    for provider in provider::names() {
        let body = json!({
            "id": "evt_1", "type": "plan.created", "event_id": "evt_1", "event_type": "price.created",
        });
        let body = body.to_string().into_bytes();
        for (age, status) in [(6, 200), (240, 200), (400, 400)] {
            let header = signature(provider, &secret(provider), &body, age);
            let answer = post(&server, provider, &header, &body).await;
            assert_eq!(answer.0, status, "{provider}: {age} seconds old");
        }
    }
    server.stop().await;
}

async fn trap_13_a_known_id_opens_no_door_for_a_wrong_signature(engine: Engine) {
    let server = TestServer::start(engine).await;
    server.deliver(STRIPE.name, &sign_up("evt_1")).await;
    let body = sign_up("evt_1").to_string().into_bytes();
    let header = signature(STRIPE.name, &"whsec_of_somebody_else".into(), &body, 0);
    let refused = post(&server, STRIPE.name, &header, &body).await;
    assert_eq!(refused, (400, json!("signature_mismatch")));
    let (_, event) = server.get("/api/v1/events/evt_1").await;
    assert_eq!(event["duplicates"], 0, "a forgery is no duplicate: {event}");
    server.stop().await;
}

/// A request whose body does not come, as far as the point where its handler waits for it.
async fn stalled(server: &TestServer, head: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.server.address()).await.unwrap();
    let head = format!(
        "{head}\r\nhost: tollgate\r\nconnection: close\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"), "{go_on:?}");
    stream.write_all(&body[..body.len() / 2]).await.unwrap();
    stream
}

/// While somebody else is waited for, no transaction is open: not while a provider or an admin
/// takes its time to send a request. A request that timed out meanwhile would fail here.
#[tokio::test(flavor = "multi_thread")]
async fn trap_15_no_transaction_waits_for_somebody_elses_server() {
    let server = TestServer::start(Engine::Postgres).await;
    let webhook = sign_up("evt_1").to_string().into_bytes();
    let signed = signature(STRIPE.name, &secret(STRIPE.name), &webhook, 0);
    let customer = json!({ "name": "Ann" }).to_string().into_bytes();
    let requests = [
        (
            format!("POST /webhooks/stripe HTTP/1.1\r\nstripe-signature: {signed}"),
            webhook,
            "HTTP/1.1 200",
        ),
        (
            format!(
                "POST /api/v1/customers HTTP/1.1\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\
                 content-type: application/json"
            ),
            customer,
            "HTTP/1.1 201",
        ),
    ];
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND pid <> pg_backend_pid() AND xact_start IS NOT NULL";
    for (head, body, expected) in requests {
        let mut stream = stalled(&server, &head, &body).await;
        // Workers and timers have short ones of their own.
        let started = std::time::Instant::now();
        while server.place.count("", open).await > 0 {
            assert!(started.elapsed() < PATIENCE, "a transaction waits: {head}");
        }
        stream.write_all(&body[body.len() / 2..]).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{answer}");
    }
    server.stop().await;
}

async fn trap_16_an_unknown_type_is_taken_and_ignored(engine: Engine) {
    let server = TestServer::start(engine).await;
    let object = json!({ "id": "holo_1", "object": "hologram" });
    let event = stripe_event("evt_1", "hologram.projected", seconds_from_now(0), object);
    let event = server.deliver(STRIPE.name, &event).await;
    assert_eq!(
        (&event["outcome"], &event["error"]),
        (&json!("ignored"), &Value::Null)
    );
    let event = json!({
        "event_id": "evt_2", "event_type": "hologram.projected",
        "occurred_at": "2026-03-09T09:00:00.1Z", "data": { "id": "holo_1" },
    });
    let event = server.deliver(PADDLE.name, &event).await;
    assert_eq!(
        (&event["outcome"], &event["error"]),
        (&json!("ignored"), &Value::Null)
    );
    server.stop().await;
}

on_both_stores! {
    trap_08_without_a_secret_there_is_no_endpoint,
    trap_09_any_hash_of_paddles_counts_and_age_is_checked,
    trap_10_an_honest_delivery_may_be_minutes_old,
    trap_13_a_known_id_opens_no_door_for_a_wrong_signature,
    trap_16_an_unknown_type_is_taken_and_ignored,
}
