//! How fast a backlog was worked off, by what the ledger says.

use sqlx::PgConnection;

/// The number of the newest event. Reads the end of an index, where counting would read the table.
pub(crate) async fn newest(database: &mut PgConnection) -> i64 {
    let newest = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM events");
    newest.fetch_one(database).await.unwrap()
}

/// Events a second of those behind one: from the beginning of the first batch to that of the last, which
/// leaves out how long the program took to start.
pub(crate) async fn rate_behind(database: &mut PgConnection, seq: i64) -> f64 {
    let sql = "SELECT (count(*) FILTER (WHERE processed_at < last) \
               / extract(epoch FROM last - min(processed_at)))::float8 \
               FROM events, (SELECT max(processed_at) AS last FROM events WHERE seq > $1) AS ends \
               WHERE seq > $1 GROUP BY last";
    let rate = sqlx::query_scalar(sql).bind(seq);
    rate.fetch_one(database).await.unwrap()
}
