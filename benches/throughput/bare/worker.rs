//! The bare worker: takes messages, writes a row of ours for each into each table that ours writes to,
//! one statement a table and batch, and acknowledges them together.

use futures::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{channel, setting};

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
    /// Columns whose value matters, or that a row may lack and ours has: indexes cost. `id` is the
    /// event's, `of` the account's.
    columns: &'static [(&'static str, &'static str)],
    /// The key by which a row may be there already, of an account that had an event before.
    known_by: Option<&'static str>,
}

const TABLES: [Table; 6] = [
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
            ("customer_id", "'cust_' || of"),
        ],
        known_by: None,
    },
    Table {
        name: "customers",
        rows: 1,
        document: 570,
        columns: &[
            ("id", "'cust_' || of"),
            ("home", "of"),
            ("external_id", "of"),
            ("status", "'active'"),
        ],
        known_by: Some("id"),
    },
    Table {
        name: "accounts",
        rows: 1,
        document: 300,
        columns: &[
            ("key", "of"),
            ("id", "of"),
            ("customer_id", "'cust_' || of"),
        ],
        known_by: Some("app, key"),
    },
    Table {
        name: "subscriptions",
        rows: 1,
        document: 470,
        columns: &[("account", "of")],
        known_by: None,
    },
    Table {
        name: "entitlements",
        rows: 1,
        document: 0,
        columns: &[("customer_id", "'cust_' || of"), ("provider", "'stripe'")],
        known_by: None,
    },
    Table {
        name: "audit",
        rows: 3,
        document: 250,
        columns: &[
            ("actor", "'event:' || id"),
            ("event", "id"),
            ("customer_id", "'cust_' || of"),
            ("operation", "'create'"),
        ],
        known_by: None,
    },
];

/// The payloads, which stand apart from their events.
const PAYLOADS: &str = "INSERT INTO payloads (seq, payload) SELECT seq, payload \
    FROM (SELECT $2::text) AS no_document, UNNEST($1::text[], $3::text[]) AS new (id, payload) \
    JOIN events USING (id) WHERE app = 'default'";

pub(super) async fn run() {
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
    assert!(!columns.is_empty(), "there is no table {name}");
    let has = |column: &str| columns.iter().any(|(name, ..)| name == column);
    for (column, _) in table.columns {
        // The payload may stand in a table of its own.
        assert!(
            has(column) || *column == "payload",
            "the table {name} has no column {column}"
        );
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
    let known = match table.known_by {
        Some(key) => format!("ON CONFLICT ({key}) DO UPDATE SET kept = excluded.kept"),
        None => String::new(),
    };
    format!(
        "INSERT INTO {name} ({}) SELECT {} \
         FROM (SELECT id, 'cus_' || right(id, 19)::bigint % {} AS of, payload \
         FROM UNNEST($1::text[], $3::text[]) AS new (id, payload)) AS new, \
         (SELECT $2::text) AS no_document, generate_series(1, {rows}) {known}",
        names.join(", "),
        values.join(", "),
        setting("BENCH_CUSTOMERS"),
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
