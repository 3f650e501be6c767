//! A database that a copy is written into.

use std::fmt::Write as _;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr};
use tokio::time::{Instant, sleep, timeout};

use super::address;
use super::encoding::refuse_narrow;
use super::error::{failed, is_missing_table, migration_failed};
use super::pool::away;
use super::statement::{json_without_nul, without_nul};
use super::unfinished_copy::{UNFINISHED, is_unfinished};
use super::{CONNECT_TIME, MIGRATIONS};
use crate::store::copy::cells::{Cell, ColumnKind, Kind, TableShape, read};
use crate::store::{StoreError, schema};

/// A number that no other lock of ours has: two copies into one database would both think that it
/// is theirs.
const LOCK: i64 = 0x0074_6f6c_6c63_6f70;

/// How long the lock is waited for: a copy that has just ended has it until the server notices that its connection
/// is gone.
const LOCK_TIME: Duration = Duration::from_secs(3);

/// The time between looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// A connection to the database.
pub(in crate::store) struct CopyTarget {
    connection: PgConnection,
}

impl CopyTarget {
    /// Connects, without a limit for statements: the last ones read whole tables.
    pub(in crate::store) async fn open(url: &SecretString) -> Result<Self, StoreError> {
        let options = address::options(url)?;
        let options = options.application_name("tollgate copy").options([
            ("statement_timeout", "0"),
            // Chunks are checked at the end, and begun again where one is missing: the last ones may
            // be lost in a crash of the server.
            ("synchronous_commit", "off"),
        ]);
        let connection = timeout(CONNECT_TIME, PgConnection::connect_with(&options))
            .await
            .map_err(|_elapsed| away("connecting took too long"))?
            .map_err(failed)?;
        Ok(Self { connection })
    }

    /// Brings the schema up to date.
    pub(in crate::store) async fn migrate(&mut self) -> Result<(), StoreError> {
        refuse_narrow(&mut self.connection).await?;
        match self.check_schema().await {
            Err(StoreError::Outdated) => {
                let migrated = schema::migrator(MIGRATIONS).run(&mut self.connection).await;
                migrated.map_err(migration_failed)
            }
            checked => checked,
        }
    }

    /// Refuses a schema that is not of this version.
    pub(in crate::store) async fn check_schema(&mut self) -> Result<(), StoreError> {
        schema::check(&mut self.connection, MIGRATIONS, is_missing_table).await
    }

    /// Takes the lock of a copy, held as long as the connection. Returns false if another keeps it.
    pub(in crate::store) async fn lock(&mut self) -> Result<bool, StoreError> {
        let latest = Instant::now() + LOCK_TIME;
        loop {
            let sql = "SELECT pg_try_advisory_lock($1)";
            let taken = sqlx::query_scalar(sql).bind(LOCK);
            let is_ours = taken.fetch_one(&mut self.connection).await;
            if is_ours.map_err(failed)? {
                return Ok(true);
            }
            if Instant::now() >= latest {
                return Ok(false);
            }
            sleep(LOCK_PAUSE).await;
        }
    }

    /// Returns the source of the copy that has not ended here, if there is one.
    pub(in crate::store) async fn unfinished(&mut self) -> Result<Option<String>, StoreError> {
        if !is_unfinished(&mut self.connection).await? {
            return Ok(None);
        }
        let sql = AssertSqlSafe(format!("SELECT source FROM {UNFINISHED}")).into_sql_str();
        let source = sqlx::query_scalar(sql).fetch_one(&mut self.connection);
        source.await.map(Some).map_err(failed)
    }

    /// Notes that a copy begins.
    pub(in crate::store) async fn begin(&mut self, source: &str) -> Result<(), StoreError> {
        let mut tx = self.connection.begin().await.map_err(failed)?;
        let made = format!("CREATE TABLE {UNFINISHED} (source TEXT NOT NULL)");
        tx.execute(AssertSqlSafe(made)).await.map_err(failed)?;
        let noted = AssertSqlSafe(format!("INSERT INTO {UNFINISHED} VALUES ($1)")).into_sql_str();
        let noted = sqlx::query(noted).bind(source).execute(&mut *tx);
        noted.await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Lets tables that number their rows go on behind these numbers, notes that the copy is
    /// complete, and has the server look at the tables: its plans would be those of empty ones.
    pub(in crate::store) async fn finish(
        &mut self,
        numbered: &[(String, i64)],
    ) -> Result<(), StoreError> {
        let mut tx = self.connection.begin().await.map_err(failed)?;
        for (table, last) in numbered.iter().filter(|(_, last)| *last > 0) {
            let sql = "SELECT setval(pg_get_serial_sequence($1, 'seq'), $2)";
            let set = sqlx::query(sql).bind(table).bind(last).execute(&mut *tx);
            set.await.map_err(failed)?;
        }
        let gone = AssertSqlSafe(format!("DROP TABLE {UNFINISHED}"));
        tx.execute(gone).await.map_err(failed)?;
        // The copy is durable when it is said to be complete, with all its chunks.
        let durable = "SET LOCAL synchronous_commit = on";
        tx.execute(durable).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        self.connection.execute("ANALYZE").await.map_err(failed)?;
        Ok(())
    }

    /// Returns the kinds of a table's columns; none if it is not there.
    pub(in crate::store) async fn columns(
        &mut self,
        table: &str,
    ) -> Result<Vec<ColumnKind>, StoreError> {
        let sql = r"
            SELECT column_name::text, data_type::text FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = $1
            ORDER BY column_name
        ";
        let columns: Vec<(String, String)> = sqlx::query_as(sql)
            .bind(table)
            .fetch_all(&mut self.connection)
            .await
            .map_err(failed)?;
        let kind = |(name, data_type): (String, String)| {
            let kind = match data_type.as_str() {
                "text" => Kind::Text,
                "bigint" => Kind::Int,
                "boolean" => Kind::Bool,
                "timestamp with time zone" => Kind::Time,
                "jsonb" => Kind::Json,
                "bytea" => Kind::Bytes,
                _ => {
                    return Err(StoreError::CorruptRow {
                        column: format!("{table}.{name}"),
                        detail: format!("{data_type} is no type of this version"),
                    });
                }
            };
            Ok(ColumnKind { name, kind })
        };
        columns.into_iter().map(kind).collect()
    }

    /// Returns true if a table has a row.
    pub(in crate::store) async fn has_rows(&mut self, table: &str) -> Result<bool, StoreError> {
        let sql = AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM {table})")).into_sql_str();
        let any = sqlx::query_scalar(sql).fetch_one(&mut self.connection);
        any.await.map_err(failed)
    }

    /// Counts the rows of a table, and returns the key of the last one. Rows come in the order of
    /// keys, so a copy goes on behind it.
    pub(in crate::store) async fn last(
        &mut self,
        table: &TableShape,
    ) -> Result<(u64, Option<Vec<Cell>>), StoreError> {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {}", table.name)).into_sql_str();
        let count: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut self.connection)
            .await
            .map_err(failed)?;
        let backwards: Vec<String> = table
            .key
            .iter()
            .map(|it| format!("{} DESC", it.name))
            .collect();
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1",
            table.key_list(),
            table.name,
            backwards.join(", ")
        );
        let row = sqlx::query(AssertSqlSafe(sql).into_sql_str())
            .fetch_optional(&mut self.connection)
            .await
            .map_err(failed)?;
        let key = row
            .map(|row| read(&table.name, &table.key, &row))
            .transpose()?;
        Ok((count.unsigned_abs(), key))
    }

    /// Adds rows, all or none.
    pub(in crate::store) async fn add(
        &mut self,
        table: &TableShape,
        rows: &CopyText,
    ) -> Result<(), StoreError> {
        let sql = format!("COPY {} ({}) FROM STDIN", table.name, table.column_list());
        let mut copying = self.connection.copy_in_raw(&sql).await.map_err(failed)?;
        copying.send(rows.0.as_bytes()).await.map_err(failed)?;
        copying.finish().await.map_err(failed)?;
        Ok(())
    }

    /// Reads all rows of a table.
    pub(in crate::store) fn rows<'a>(
        &'a mut self,
        table: &'a TableShape,
    ) -> BoxStream<'a, Result<Vec<Cell>, StoreError>> {
        let sql = format!("SELECT {} FROM {}", table.column_list(), table.name);
        let rows = sqlx::query(AssertSqlSafe(sql).into_sql_str()).fetch(&mut self.connection);
        let rows = rows.map_err(failed);
        rows.map(|row| read(&table.name, &table.columns, &row?))
            .boxed()
    }
}

/// A cell as this engine keeps it, which has no NUL in texts.
pub(in crate::store) fn kept(cell: Cell) -> Cell {
    match cell {
        Cell::Text(text) => Cell::Text(without_nul(text)),
        Cell::Json(text) => Cell::Json(json_without_nul(text)),
        other => other,
    }
}

/// Rows in the text format of `COPY`.
/// <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2>
#[derive(Debug, Default)]
pub(in crate::store) struct CopyText(String);

impl CopyText {
    /// The length in bytes.
    pub(in crate::store) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a row.
    pub(in crate::store) fn push(&mut self, row: &[Cell]) {
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                self.0.push('\t');
            }
            self.push_cell(cell);
        }
        self.0.push('\n');
    }

    fn push_cell(&mut self, cell: &Cell) {
        // Writing into a text cannot fail.
        match cell {
            Cell::Null => self.0.push_str("\\N"),
            Cell::Text(text) | Cell::Json(text) => self.push_text(text),
            Cell::Int(number) => drop(write!(self.0, "{number}")),
            Cell::Bool(yes) => self.0.push(if *yes { 't' } else { 'f' }),
            Cell::Time(micros) => match chrono::DateTime::from_timestamp_micros(*micros) {
                Some(at) => drop(write!(self.0, "{}", at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))),
                None => self.0.push_str("\\N"),
            },
            Cell::Bytes(bytes) => {
                self.0.push_str("\\\\x");
                self.0.push_str(&hex::encode(bytes));
            }
        }
    }

    fn push_text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['\\', '\n', '\r', '\t']) {
            let (before, special) = rest.split_at(at);
            self.0.push_str(before);
            let mut chars = special.chars();
            self.0.push_str(match chars.next() {
                Some('\n') => "\\n",
                Some('\r') => "\\r",
                Some('\t') => "\\t",
                _ => "\\\\",
            });
            rest = chars.as_str();
        }
        self.0.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_format_means_otherwise_is_escaped() {
        let mut text = CopyText::default();
        text.push(&[
            Cell::Null,
            Cell::Text("\\N\t\r\nä\\".to_owned()),
            Cell::Bytes(vec![0, 255]),
            Cell::Time(-1),
            Cell::Bool(true),
            Cell::Int(i64::MIN),
        ]);
        assert_eq!(
            text.0,
            "\\N\t\\\\N\\t\\r\\nä\\\\\t\\\\x00ff\t1969-12-31T23:59:59.999999Z\tt\t\
             -9223372036854775808\n"
        );
    }
}
