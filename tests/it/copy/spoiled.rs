//! Rows of a copy that were spoiled by hand.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Changes one value in one row of each table that has one, as little as its type allows. Returns the tables.
pub(super) async fn spoil_each_table(to: &SecretString) -> BTreeSet<String> {
    let mut target = PgConnection::connect(to.expose_secret()).await.unwrap();
    // Whatever refers to the row stays as it is.
    let alone = "SET session_replication_role = replica";
    target.execute(alone).await.unwrap();
    let columns: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text
         FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'
         ORDER BY table_name, ordinal_position DESC",
    )
    .fetch_all(&mut target)
    .await
    .unwrap();
    let mut spoiled = BTreeSet::new();
    for (table, column, kind) in columns {
        let other = match kind.as_str() {
            "bigint" => format!("{column} + 1"),
            "boolean" => format!("NOT {column}"),
            "timestamp with time zone" => format!("{column} + interval '1 microsecond'"),
            "jsonb" => format!("jsonb_build_array({column})"),
            "bytea" => format!("{column} || '\\x00'"),
            _ => format!("{column} || ' '"),
        };
        if spoiled.contains(&table) {
            continue;
        }
        let sql = format!(
            "UPDATE {table} SET {column} = {other}
             WHERE ctid = (SELECT min(ctid) FROM {table} WHERE {column} IS NOT NULL)"
        );
        // Some columns take few words alone; another of the table takes more.
        let done = target.execute(AssertSqlSafe(sql)).await;
        if done.is_ok_and(|it| it.rows_affected() == 1) {
            spoiled.insert(table);
        }
    }
    target.close().await.unwrap();
    spoiled
}
