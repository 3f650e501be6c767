//! What the measured programs are held against: the same input and output with no logic.
//!
//! The receiver reads a body, verifies one HMAC and publishes: persistent, mandatory, confirmed.
//! The worker takes messages, inserts a ledger row, a customer, a subscription and three
//! audit entries for each, 256 a transaction, one statement a table, and acknowledges them
//! together. Ours also writes an account.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use futures::{FutureExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpListener;

use crate::event;

const BATCH: usize = 256;
const PREFETCH: u16 = 512;

/// The lengths of our documents, in bytes.
const CHANGES: usize = 930;
const CUSTOMER: usize = 570;
const SUBSCRIPTION: usize = 470;
const DETAILS: usize = 250;

const EVENTS: &str = "INSERT INTO events (app, provider, id, receipt, type, livemode, mode, \
    occurred_at, received_at, processed_at, outcome, duplicates, attempts, customer_id, changes, \
    payload) SELECT 'default', 'stripe', id, id, 'customer.subscription.created', false, 'any', 0, \
    now(), now(), 'applied', 0, 1, 'cust_' || id, $2::jsonb, payload \
    FROM UNNEST($1::text[], $3::text[]) AS new (id, payload)";
const CUSTOMERS: &str = "INSERT INTO customers (id, app, home, made_at, updated_at, external_id, \
    status, status_since, kept) SELECT 'cust_' || id, 'default', id, now(), now(), id, \
    'active', now(), $2::jsonb FROM UNNEST($1::text[]) AS new (id)";
const SUBSCRIPTIONS: &str = "INSERT INTO subscriptions (app, key, account, kept) \
    SELECT 'default', id, id, $2::jsonb FROM UNNEST($1::text[]) AS new (id)";
const AUDIT: &str = "INSERT INTO audit (app, at, actor, event, customer_id, operation, details) \
    SELECT 'default', now(), 'event:' || id, id, 'cust_' || id, 'create', $2::jsonb \
    FROM UNNEST($1::text[]) AS new (id), generate_series(1, 3)";

/// Runs a bare program, if this process was started to be one.
pub(crate) async fn was_asked_for() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", "--role", "receiver"] => receiver().await,
        ["bare", "--role", "worker"] => worker().await,
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

async fn receive(
    State(channel): State<Channel>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, StatusCode> {
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
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let published = channel.basic_publish(
        "bare.events".into(),
        "work".into(),
        options,
        &body,
        persistent,
    );
    let confirmed = published.await.unwrap().await.unwrap();
    assert_eq!(confirmed, Confirmation::Ack(None));
    Ok(Json(json!({ "received": true })))
}

async fn worker() {
    let (_connection, channel) = channel(&setting("AMQP_URL")).await;
    let mut database = PgConnection::connect(&setting("DATABASE_URL"))
        .await
        .unwrap();
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await
        .unwrap();
    let options = BasicConsumeOptions::default();
    let mut consumer = channel
        .basic_consume(
            "bare.work".into(),
            "".into(),
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
    while let Some(first) = consumer.next().await {
        let mut batch = vec![first.unwrap()];
        while batch.len() < BATCH {
            let Some(Some(next)) = consumer.next().now_or_never() else {
                break;
            };
            batch.push(next.unwrap());
        }
        let last = batch.last().unwrap().delivery_tag;
        insert(&mut database, batch).await;
        let options = BasicAckOptions { multiple: true };
        channel.basic_ack(last, options).await.unwrap();
    }
}

/// Writes rows of the size of ours.
async fn insert(database: &mut PgConnection, batch: Vec<Delivery>) {
    let ids: Vec<String> = batch
        .iter()
        .map(|it| it.properties.message_id().as_ref().unwrap().to_string())
        .collect();
    let payloads: Vec<String> = batch
        .into_iter()
        .map(|it| String::from_utf8(it.data).unwrap())
        .collect();
    let mut tx = database.begin().await.unwrap();
    let rows = |sql, bytes| sqlx::query(sql).bind(&ids).bind(document(bytes));
    for insert in [
        rows(EVENTS, CHANGES).bind(payloads),
        rows(CUSTOMERS, CUSTOMER),
        rows(SUBSCRIPTIONS, SUBSCRIPTION),
        rows(AUDIT, DETAILS),
    ] {
        insert.execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// A document of about this many bytes.
fn document(bytes: usize) -> String {
    json!({ "filling": "x".repeat(bytes) }).to_string()
}
