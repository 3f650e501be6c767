//! The bare embedded store: writes rows of ours into SQLite in bulk, one statement a table and batch. It
//! serves nothing and reads nothing, so all of its time goes into the file.

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::setting;
use super::worker::{TABLES, Table, document};
use crate::event;

const BATCH: usize = 256;

/// Columns that hold a document of ours.
const DOCUMENTS: [&str; 3] = ["changes", "kept", "details"];

/// The payloads, which stand apart from their events.
const PAYLOADS: &str = "INSERT INTO payloads (seq, payload) SELECT seq, value ->> 'payload' \
    FROM json_each($1), (SELECT $2) JOIN events ON events.app = 'default' AND events.id = value ->> 'id'";

/// What events name, by numbers of the same kind as the first bytes of a hash.
const OBJECTS: &str = "INSERT INTO event_objects (app, hash, seq) \
    SELECT 'default', CASE n.value WHEN 3 THEN 3 ELSE random() END, seq \
    FROM json_each($1) AS new, (SELECT $2), json_each('[1, 2, 3]') AS n \
    JOIN events ON events.app = 'default' AND events.id = new.value ->> 'id'";

pub(super) async fn run() {
    // As ours is opened: what is committed is on the disk.
    let options: SqliteConnectOptions = setting("DATABASE_URL").parse().unwrap();
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let mut inserts = Vec::new();
    for table in &TABLES {
        let sql = insert_into(table, &mut database).await;
        inserts.push((sql, document(table.text)));
    }
    inserts.push((PAYLOADS.to_owned(), String::new()));
    inserts.push((OBJECTS.to_owned(), String::new()));
    // Ends when it is killed.
    loop {
        let events: Vec<Value> = (0..BATCH)
            .map(|_| {
                let (id, payload) = event::fresh();
                json!({ "id": id, "payload": payload })
            })
            .collect();
        let events = Value::from(events).to_string();
        let mut tx = database.begin().await.unwrap();
        for (sql, document) in &inserts {
            sqlx::query(AssertSqlSafe(sql.as_str()))
                .bind(&events)
                .bind(document)
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
    }
}

/// The statement that writes a batch into a table: `$1` are the events, `$2` is the document. Each event
/// is of a customer of its own, as those that are posted to ours are.
async fn insert_into(table: &Table, database: &mut SqliteConnection) -> String {
    let sql = "SELECT name, type, \"notnull\" = 1 AND dflt_value IS NULL AND NOT (pk = 1 AND type = 'INTEGER') \
               FROM pragma_table_info($1) ORDER BY cid";
    let columns: Vec<(String, String, bool)> = sqlx::query_as(sql)
        .bind(table.name)
        .fetch_all(database)
        .await
        .unwrap();
    let (name, rows) = (table.name, vec!["(1)"; table.rows].join(", "));
    assert!(!columns.is_empty(), "there is no table {name}");
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (column, kind, needed) in &columns {
        let ours = table.columns.iter().find(|(name, _)| name == column);
        let value = match (ours, kind.as_str()) {
            // Times and truths are numbers here.
            (Some(_), "INTEGER") => "0",
            (Some((_, value)), _) => *value,
            (None, _) if column == "id" || column == "key" => "id",
            (None, _) if !needed => continue,
            (None, "TEXT") if column == "app" => "'default'",
            (None, "TEXT") if DOCUMENTS.contains(&column.as_str()) => "$2",
            (None, "TEXT") => "id",
            (None, "INTEGER") => "0",
            (None, kind) => panic!("{name}.{column}: no value of the type {kind} is known"),
        };
        names.push(column.as_str());
        values.push(value);
    }
    format!(
        "INSERT INTO {name} ({}) SELECT {} \
         FROM (SELECT id, 'cus_' || id AS of, 'cust_' || substr('0000000000000' || substr(id, 10), -32) AS customer, \
         'account:stripe:test::cus_' || id AS account, 'subscription:stripe:test::sub_' || id AS subscription \
         FROM (SELECT value ->> 'id' AS id FROM json_each($1))), \
         (SELECT $2), (VALUES {rows})",
        names.join(", "),
        values.join(", "),
    )
}
