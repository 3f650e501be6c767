//! The bare worker: takes messages, writes a row of ours for each into each table that ours writes to,
//! one statement a table and batch, and acknowledges them together. Unless `TOLLGATE_PUBLISH_CHANGES` is
//! `off` it writes as many changes as ours, publishes them, and removes them when the broker has them.

use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::FieldTable;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::mpsc;

use super::{channel, setting};

const BATCH: usize = 256;
const PREFETCH: u16 = 512;

/// A table that the worker fills. Its statement is made from the schema as it is: whatever column
/// a row needs gets a value of its kind, so that a migration does not end the measurement.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Rows of the first event of a customer.
    pub(super) rows: usize,
    /// Rows of a later one.
    rows_later: usize,
    /// The length of a document, in bytes, with which a row takes as much of the database as one of ours
    /// does: "worker, written for an event" tells whether it still does.
    pub(super) document: usize,
    /// The length of ours in the embedded store, of an event of a new customer.
    pub(super) text: usize,
    /// Columns whose value matters, or that a row may lack and ours has: indexes cost. `id` is the
    /// event's, `of` the provider's of its customer, and `customer`, `account` and `subscription` are keys as
    /// long as ours.
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// The key by which a row may be there already, of an account that had an event before.
    known_by: Option<&'static str>,
}

pub(super) const TABLES: [Table; 6] = [
    Table {
        name: "events",
        rows: 1,
        rows_later: 1,
        document: 1045,
        text: 975,
        columns: &[
            ("provider", "'stripe'"),
            ("type", "'customer.subscription.created'"),
            ("livemode", "false"),
            ("mode", "'any'"),
            ("occurred_at", "0"),
            ("processed_at", "now()"),
            ("outcome", "'applied'"),
            ("customer_id", "customer"),
        ],
        known_by: None,
    },
    Table {
        name: "customers",
        rows: 1,
        rows_later: 1,
        document: 870,
        text: 555,
        columns: &[
            ("id", "customer"),
            ("home", "account"),
            ("external_id", "'stripe_' || of"),
            ("status", "'active'"),
        ],
        known_by: Some("id"),
    },
    Table {
        name: "accounts",
        rows: 1,
        rows_later: 0,
        document: 70,
        text: 70,
        columns: &[
            ("key", "account"),
            ("id", "of"),
            ("customer_id", "customer"),
        ],
        known_by: Some("app, key"),
    },
    Table {
        name: "subscriptions",
        rows: 1,
        rows_later: 1,
        document: 690,
        text: 640,
        columns: &[("key", "subscription"), ("account", "account")],
        known_by: None,
    },
    Table {
        name: "entitlements",
        rows: 1,
        rows_later: 0,
        document: 0,
        text: 0,
        columns: &[("customer_id", "customer"), ("provider", "'stripe'")],
        known_by: None,
    },
    Table {
        name: "audit",
        rows: 3,
        rows_later: 2,
        document: 330,
        text: 280,
        columns: &[
            ("actor", "'event:stripe:' || id"),
            ("event", "id"),
            ("customer_id", "customer"),
            ("operation", "'create'"),
        ],
        known_by: None,
    },
];

/// The changes that the broker is told of.
const CHANGES: Table = Table {
    name: "changes",
    rows: 2,
    rows_later: 1,
    document: 135,
    text: 0,
    columns: &[("customer_id", "customer")],
    known_by: None,
};

/// The payloads, which stand apart from their events.
const PAYLOADS: &str = "INSERT INTO payloads (seq, payload) SELECT seq, payload \
    FROM (SELECT $2::text) AS no_document, UNNEST($1::text[], $3::text[]) AS new (id, payload) \
    JOIN events USING (id) WHERE app = 'default'";

/// What events name: the subscription, which is each event's own, its customer and its price.
const OBJECTS: &str = "INSERT INTO event_objects (app, hash, seq) \
    SELECT 'default', hashtextextended(CASE n \
        WHEN 1 THEN new.id \
        WHEN 2 THEN (right(new.id, 19)::bigint % CUSTOMERS)::text \
        ELSE 'price' END, 0), seq \
    FROM (SELECT $2::text) AS no_document, UNNEST($1::text[], $3::text[]) AS new (id, payload) \
    JOIN events ON events.app = 'default' AND events.id = new.id \
    CROSS JOIN generate_series(1, 3) AS n \
    ON CONFLICT DO NOTHING";

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
    let objects = OBJECTS.replace("CUSTOMERS", &setting("BENCH_CUSTOMERS"));
    inserts.push((objects, String::new()));
    let is_telling = std::env::var("TOLLGATE_PUBLISH_CHANGES").as_deref() != Ok("off");
    let changes = if is_telling {
        let sql = insert_into(&CHANGES, &mut database).await;
        let (made, inbox) = mpsc::unbounded_channel();
        tokio::spawn(tell(inbox));
        Some((format!("{sql} RETURNING seq"), made))
    } else {
        None
    };
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
        insert(&mut database, &inserts, changes.as_ref(), batch).await;
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
    let (name, first, later) = (table.name, table.rows, table.rows_later);
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
    let customers = setting("BENCH_CUSTOMERS");
    let known = match table.known_by {
        Some(key) => format!("ON CONFLICT ({key}) DO UPDATE SET kept = excluded.kept"),
        None => String::new(),
    };
    format!(
        "INSERT INTO {name} ({}) SELECT {} \
         FROM (SELECT id, number, payload, 'cus_bench' || lpad(number, 10, '0') AS of, \
         'cust_' || lpad(number, 32, '0') AS customer, \
         'account:stripe:test::cus_bench' || lpad(number, 10, '0') AS account, \
         'subscription:stripe:test::sub_' || id AS subscription, \
         CASE WHEN right(id, 19)::bigint < {customers} THEN {first} ELSE {later} END AS count \
         FROM (SELECT *, (right(id, 19)::bigint % {customers})::text AS number \
         FROM UNNEST($1::text[], $3::text[]) AS new (id, payload)) AS new) AS new \
         CROSS JOIN (SELECT $2::text) AS no_document \
         CROSS JOIN LATERAL generate_series(1, count) ORDER BY of {known}",
        names.join(", "),
        values.join(", "),
    )
}

/// Publishes what was committed, and removes it.
async fn tell(mut inbox: mpsc::UnboundedReceiver<Vec<i64>>) {
    let (_connection, channel) = channel(&setting("AMQP_URL")).await;
    let mut database = PgConnection::connect(&setting("DATABASE_URL"))
        .await
        .unwrap();
    let body = document(300);
    while let Some(made) = inbox.recv().await {
        let published = made.iter().map(|seq| {
            let properties = BasicProperties::default()
                .with_delivery_mode(2)
                .with_content_type("application/json".into())
                .with_message_id(format!("chg_{seq:032}").into());
            channel.basic_publish(
                "bare.changes".into(),
                "default.customer.created".into(),
                BasicPublishOptions::default(),
                body.as_bytes(),
                properties,
            )
        });
        for confirmed in join_all(published).await {
            confirmed.unwrap().await.unwrap();
        }
        sqlx::query("DELETE FROM changes WHERE seq = ANY($1)")
            .bind(&made)
            .execute(&mut database)
            .await
            .unwrap();
    }
}

/// Where changes go: the statement that writes them, and who tells of them.
type Changes = (String, mpsc::UnboundedSender<Vec<i64>>);

/// Writes rows of the size of ours.
async fn insert(
    database: &mut PgConnection,
    inserts: &[(String, String)],
    changes: Option<&Changes>,
    batch: Vec<Delivery>,
) {
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
    let mut made = Vec::new();
    if let Some((sql, _)) = changes {
        made = sqlx::query_scalar(AssertSqlSafe(sql.as_str()))
            .bind(&ids)
            .bind(document(CHANGES.document))
            .bind(&payloads)
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    if let Some((_, telling)) = changes {
        telling.send(made).unwrap();
    }
}

/// A document of about this many bytes.
pub(super) fn document(bytes: usize) -> String {
    json!({ "filling": "x".repeat(bytes) }).to_string()
}
