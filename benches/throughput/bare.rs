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
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::net::TcpListener;

use crate::event;

const BATCH: usize = 256;
const PREFETCH: u16 = 512;

/// A table that the worker fills. Its statement is made from the schema as it is: whatever column
/// a row needs gets a value of its kind, so that a migration does not end the measurement.
struct Table {
    name: &'static str,
    /// Rows of one event.
    rows: usize,
    /// The length of our documents in it, in bytes.
    document: usize,
    /// Columns whose value matters, or that a row may lack and ours has: indexes cost.
    columns: &'static [(&'static str, &'static str)],
}

const TABLES: [Table; 4] = [
    Table {
        name: "events",
        rows: 1,
        document: 930,
        columns: &[
            ("provider", "'stripe'"),
            ("type", "'customer.subscription.created'"),
            ("livemode", "false"),
            ("mode", "'any'"),
            ("occurred_at", "0"),
            ("processed_at", "now()"),
            ("outcome", "'applied'"),
            ("customer_id", "'cust_' || id"),
        ],
    },
    Table {
        name: "customers",
        rows: 1,
        document: 570,
        columns: &[
            ("id", "'cust_' || id"),
            ("home", "id"),
            ("external_id", "id"),
            ("status", "'active'"),
        ],
    },
    Table {
        name: "subscriptions",
        rows: 1,
        document: 470,
        columns: &[("account", "id")],
    },
    Table {
        name: "audit",
        rows: 3,
        document: 250,
        columns: &[
            ("actor", "'event:' || id"),
            ("event", "id"),
            ("customer_id", "'cust_' || id"),
            ("operation", "'create'"),
        ],
    },
];

/// The payloads, which stand apart from their events.
const PAYLOADS: &str = "INSERT INTO payloads (seq, payload) SELECT seq, payload \
    FROM (SELECT $2::text) AS no_document, UNNEST($1::text[], $3::text[]) AS new (id, payload) \
    JOIN events USING (id) WHERE app = 'default'";

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
    let mut inserts = Vec::new();
    for table in &TABLES {
        let sql = insert_into(table, &mut database).await;
        inserts.push((sql, document(table.document)));
    }
    inserts.push((PAYLOADS.to_owned(), String::new()));
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await
        .unwrap();
    let options = BasicConsumeOptions::default();
    let mut consumer = channel
        .basic_consume(
            "bare.work.2".into(),
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
        insert(&mut database, &inserts, batch).await;
        let options = BasicAckOptions { multiple: true };
        channel.basic_ack(last, options).await.unwrap();
    }
}

/// The statement that writes a batch into a table: `$1` are the events' ids, `$2` is the document,
/// `$3` are the payloads.
async fn insert_into(table: &Table, database: &mut PgConnection) -> String {
    let sql = "SELECT column_name::text, data_type::text, \
               is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' \
               FROM information_schema.columns \
               WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
    let columns: Vec<(String, String, bool)> = sqlx::query_as(sql)
        .bind(table.name)
        .fetch_all(database)
        .await
        .unwrap();
    let (name, rows) = (table.name, table.rows);
    for (column, _) in table.columns {
        let known = columns.iter().any(|(name, ..)| name == column);
        assert!(known, "the table {name} has no column {column}");
    }
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (column, kind, needed) in &columns {
        let ours = table.columns.iter().find(|(name, _)| name == column);
        let value = match (ours, kind.as_str()) {
            (Some((_, value)), _) => *value,
            (None, _) if !needed => continue,
            (None, "text") if column == "app" => "'default'",
            (None, "text") => "id",
            (None, "boolean") => "false",
            (None, "bigint") => "0",
            (None, "timestamp with time zone") => "now()",
            (None, "jsonb") => "$2::jsonb",
            (None, kind) => panic!("{name}.{column}: no value of the type {kind} is known"),
        };
        names.push(column.as_str());
        values.push(value);
    }
    format!(
        "INSERT INTO {name} ({}) SELECT {} \
         FROM UNNEST($1::text[], $3::text[]) AS new (id, payload), generate_series(1, {rows})",
        names.join(", "),
        values.join(", ")
    )
}

/// Writes rows of the size of ours.
async fn insert(database: &mut PgConnection, inserts: &[(String, String)], batch: Vec<Delivery>) {
    let ids: Vec<String> = batch
        .iter()
        .map(|it| it.properties.message_id().as_ref().unwrap().to_string())
        .collect();
    let payloads: Vec<String> = batch
        .into_iter()
        .map(|it| String::from_utf8(it.data).unwrap())
        .collect();
    let mut tx = database.begin().await.unwrap();
    for (sql, document) in inserts {
        sqlx::query(AssertSqlSafe(sql.as_str()))
            .bind(&ids)
            .bind(document)
            .bind(&payloads)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

/// A document of about this many bytes.
fn document(bytes: usize) -> String {
    json!({ "filling": "x".repeat(bytes) }).to_string()
}
