//! What the measured programs are held against: the same input and output with no logic.
//!
//! The receiver reads a body, verifies one HMAC and publishes: persistent, mandatory, confirmed, with
//! headers as long as ours. The worker takes messages, writes the rows that ours writes, 256 events a
//! transaction, one statement a table, and acknowledges them together. Neither parses anything.
//! Beside the embedded store a loop writes such rows into SQLite, and does nothing else.

mod access;
mod embedded;
mod worker;

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use hmac::{Hmac, KeyInit, Mac};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::event;

/// Runs a bare program, if this process was started to be one.
pub(crate) async fn was_asked_for() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", "--role", "receiver"] => receiver().await,
        ["bare", "--role", "worker"] => worker::run().await,
        ["bare", "--role", "access"] => access::run().await,
        ["bare", "--role", "embedded"] => embedded::run().await,
        _ => return false,
    }
    true
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap()
}

/// A channel with confirms, and the connection that it lives on.
pub(crate) async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    (connection, channel)
}

async fn receiver() {
    let (_connection, channel) = channel(&setting("AMQP_URL")).await;
    let router = Router::new()
        .route("/webhooks/stripe", post(receive))
        .with_state(channel);
    let listener = TcpListener::bind(setting("TOLLGATE_LISTEN")).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}

/// Does with a webhook what ours does, but for what that is for: the same bytes come in and go out.
async fn receive(
    State(channel): State<Channel>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(HeaderMap, Json<Value>), StatusCode> {
    // Whose is whose is not read.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let header = headers["stripe-signature"].to_str().unwrap();
    let (time, digest) = header.split_once(",v1=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(event::SECRET.as_bytes()).unwrap();
    mac.update(time.trim_start_matches("t=").as_bytes());
    mac.update(b".");
    mac.update(&body);
    mac.verify_slice(&hex::decode(digest).unwrap())
        .map_err(|_| StatusCode::BAD_REQUEST)?;
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let id = event::id(NEXT.fetch_add(1, Ordering::Relaxed));
    let published = channel.basic_publish(
        "bare.events".into(),
        "work".into(),
        options,
        &body,
        properties(&id),
    );
    let confirmed = published.await.unwrap().await.unwrap();
    assert_eq!(confirmed, Confirmation::Ack(None));
    let mut answered = HeaderMap::new();
    for (name, value) in [
        ("x-request-id", "0123456789"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        answered.insert(name, HeaderValue::from_static(value));
    }
    Ok((answered, Json(json!({ "received": true, "event_id": id }))))
}

/// The properties of ours, of the same lengths.
fn properties(id: &str) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in [
        ("version", "1"),
        ("app", "default"),
        ("provider", "stripe"),
        ("event_id", id),
        ("type", event::TYPE),
        ("mode", "any"),
        ("receipt", "0123456789abcdef0123456789abcdef"),
        ("request_id", "0123456789"),
    ] {
        table.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    for name in ["received_at", "attempt"] {
        table.insert(name.into(), AMQPValue::LongLongInt(0));
    }
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_message_id(id.into())
        .with_type(event::TYPE.into())
        .with_timestamp(0)
        .with_headers(table)
}
