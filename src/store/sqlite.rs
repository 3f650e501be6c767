//! The embedded engine: one SQLite file.

mod backup;
pub(super) mod copy_source;
mod error;
mod file;
mod row;
mod statement;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection, SqlSafeStr, SqlitePool, Transaction};

pub use self::backup::{BackupError, backup};
use self::error::{failed, is_missing_table};
use self::file::make_private;
use super::StoreError;
use super::driver::{Claim, Driver, PoolUse, Row, Session, Value};
use super::error::Trouble;
use super::gate::{Closed, Gate};
use super::schema::{self, Text};

/// The migrations, oldest first.
const MIGRATIONS: &[Text] = &[(
    1,
    "start",
    include_str!("../../migrations/sqlite/0001_start.sql"),
)];

pub(super) struct SqliteDriver {
    /// SQLite has one writer at a time. One connection makes the others wait in our pool, in
    /// order, instead of in SQLite's busy loop, which is neither fair nor wakes at once.
    writer: SqlitePool,
    /// Closed while another process holds the write lock for longer than anybody should.
    gate: Gate,
    readers: SqlitePool,
    path: PathBuf,
}

impl SqliteDriver {
    /// Opens the file, making it if it is missing.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path).map_err(|source| failed(sqlx::Error::Io(source)))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // Readers and the writer do not wait for each other.
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on the disk when it returns: a 200 may rest on it.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What is removed is overwritten with zeros: people have a right to be forgotten, also
            // by the free pages of the file.
            .pragma("secure_delete", "ON")
            // Another process (the `events` command beside a server) may hold the write lock
            // for one batch; five seconds is far longer than any batch takes.
            .busy_timeout(Duration::from_secs(5));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .after_release(|connection, _| Box::pin(is_between_transactions(connection)))
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            // Reads are short. A few at once are enough, opened as they are needed.
            .max_connections(4)
            .min_connections(0)
            .connect_lazy_with(options);
        Ok(Self {
            writer,
            gate: Gate::default(),
            readers,
            path: path.to_owned(),
        })
    }
}

#[async_trait]
impl Driver for SqliteDriver {
    async fn begin(&self) -> Result<Box<dyn Session>, StoreError> {
        let turn = self.gate.enter().await.map_err(locked)?;
        let connection = self.writer.acquire().await.map_err(failed)?;
        // Those who waited behind somebody who could not get the lock need not try one by one.
        if turn.is_over() {
            return Err(locked(Closed));
        }
        // Taking the write lock at the start: a transaction that reads first and is refused the
        // lock later could only be thrown away.
        let begun = Transaction::begin(connection, Some("BEGIN IMMEDIATE".into_sql_str())).await;
        match begun.map_err(failed) {
            Ok(tx) => {
                turn.reached();
                Ok(Box::new(SqliteSession(tx)))
            }
            Err(error) => {
                if error.trouble() == Some(Trouble::Locked) {
                    turn.not_reached();
                }
                Err(error)
            }
        }
    }

    async fn read(&self) -> Result<Box<dyn Session>, StoreError> {
        let tx = self.readers.begin().await.map_err(failed)?;
        Ok(Box::new(SqliteSession(tx)))
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrator(MIGRATIONS)
            .run(&self.writer)
            .await
            .map_err(|source| StoreError::Migrate { source })
    }

    async fn check_schema(&self) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await.map_err(failed)?;
        schema::check(&mut *connection, MIGRATIONS, is_missing_table).await
    }

    fn place(&self) -> String {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        format!("sqlite://{}", path.display())
    }

    async fn claim_queue(&self) -> Result<Option<Claim>, StoreError> {
        // Who serves the file holds the lock of its folder.
        Ok(Some(Claim::new(None)))
    }

    fn has_many_writers(&self) -> bool {
        false
    }

    async fn remove_traces(&self) -> Result<bool, StoreError> {
        // The log still has pages from before. Emptied, nothing of them is left: in the file itself
        // they were overwritten (`secure_delete`).
        let mut connection = self.writer.acquire().await.map_err(failed)?;
        let checkpoint = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)");
        let busy: i64 = checkpoint
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        Ok(busy == 0)
    }

    fn pools(&self) -> Vec<PoolUse> {
        let usage = |(name, pool): (&'static str, &SqlitePool)| {
            let idle = u32::try_from(pool.num_idle()).unwrap_or_default();
            PoolUse {
                name,
                in_use: pool.size().saturating_sub(idle),
                idle,
                most: pool.options().get_max_connections(),
                opened: None,
            }
        };
        let pools = [("writer", &self.writer), ("readers", &self.readers)];
        pools.map(usage).into()
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Returns true if a connection can begin a transaction, so that it may go back into the pool.
///
/// On a full disk, and after some other errors, SQLite rolls back by itself
/// (<https://www.sqlite.org/lang_transaction.html>, section 3). The client library does not see
/// that: its own rollback then fails, and it takes the transaction for open from then on. Kept, such
/// a connection would refuse every transaction for good, also when the disk has room again.
async fn is_between_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A transaction that was dropped is rolled back in the background: this comes after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// An error of a write lock that is known to be held by somebody else.
fn locked(closed: Closed) -> StoreError {
    StoreError::Database {
        source: sqlx::Error::Io(io::Error::other(closed)).into(),
        trouble: Trouble::Locked,
    }
}

struct SqliteSession(Transaction<'static, Sqlite>);

#[async_trait]
impl Session for SqliteSession {
    async fn fetch(&mut self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let (sql, arguments) = statement::translate(sql, binds)?;
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .fetch_all(&mut *self.0)
            .await
            .map_err(failed)?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    async fn execute(&mut self, sql: &str, binds: Vec<Value>) -> Result<u64, StoreError> {
        let (sql, arguments) = statement::translate(sql, binds)?;
        let done = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .execute(&mut *self.0)
            .await
            .map_err(failed)?;
        Ok(done.rows_affected())
    }

    async fn lock_app(&mut self, _key: i64, _exclusive: bool) -> Result<(), StoreError> {
        Ok(())
    }

    async fn lock_in_order(&mut self, _keys: &[i64]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn lock_if_free(&mut self, _keys: &[i64]) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn refuse_held_locks(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit().await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::store::cell::{Document, Nanos};
    use crate::store::record::{Binds, FromRow, Reader, Rows, binds, record};

    async fn opened(folder: &tempfile::TempDir) -> SqliteDriver {
        SqliteDriver::open(&folder.path().join("t.db"))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_would_be_refused_again_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let driver = opened(&folder).await;
        let mut session = driver.begin().await.unwrap();
        let table = "CREATE TABLE t (n INTEGER PRIMARY KEY, m TEXT NOT NULL) STRICT";
        session.execute(table, Vec::new()).await.unwrap();
        let insert = "INSERT INTO t (n, m) VALUES ($1, $2)";
        let first: Binds = binds![1_i64, "a"];
        session.execute(insert, first.unwrap()).await.unwrap();
        let cases = [
            ("taken", insert, binds![1_i64, "a"]),
            ("missing", insert, binds![2_i64, None::<&str>]),
            ("of another type", insert, binds!["x", "a"]),
            ("no document", "SELECT $1 ->> 0", binds!["{"]),
        ];
        for (description, sql, binds) in cases {
            let error = session.fetch(sql, binds.unwrap()).await.err().unwrap();
            assert!(!error.is_passing(), "{description}: {error:?}");
        }
    }

    record! {
        struct Written {
            text: Option<String>,
            number: i64,
            yes: bool,
            at: Timestamp,
            exact: Nanos,
            document: Option<Document>,
            bytes: Vec<u8>,
        }
    }

    record! {
        struct Found from "cells" {
            text: Option<String>,
            number: i64,
            yes: bool,
            at: Timestamp,
            exact: Timestamp,
            document: Option<Document>,
            bytes: Vec<u8>,
        }
    }

    #[tokio::test]
    async fn every_kind_of_cell_comes_back_from_a_set_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let driver = opened(&folder).await;
        let mut session = driver.begin().await.unwrap();
        let texts = [Some("a\0\"\\\u{1}ä"), Some(""), None];
        let documents = [Some(r#"{"a": [1.0, "\u0000"]}"#), Some("null"), None];
        let cells = texts.into_iter().zip(documents);
        let rows: Rows<Written> = cells
            .clone()
            .map(|(text, document)| Written {
                text: text.map(str::to_owned),
                number: i64::MIN,
                yes: true,
                at: Timestamp::from_nanos(-1),
                exact: Nanos(Timestamp::from_nanos(i64::MAX)),
                document: document.map(|it| Document(it.to_owned())),
                bytes: vec![0, 255],
            })
            .collect();
        let sql = "SELECT * FROM {rows} AS cells";
        let answer = session.fetch(sql, binds![rows].unwrap()).await.unwrap();
        for (row, (text, document)) in answer.iter().zip(cells) {
            let found = Found::from_row(&mut Reader::new(row)).unwrap();
            assert_eq!(found.text.as_deref(), text);
            assert_eq!((found.number, found.yes), (i64::MIN, true));
            assert_eq!((found.at.nanos(), found.exact.nanos()), (-1, i64::MAX));
            let same = |it: &str| it.replace(' ', "");
            let found_document = found.document.as_ref().map(|it| it.0.as_str());
            assert_eq!(found_document.map(same), document.map(same));
            assert_eq!(found.bytes, [0, 255]);
        }
        assert_eq!(answer.len(), 3);
    }

    #[tokio::test]
    async fn a_full_disk_stops_no_transaction_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let driver = opened(&folder).await;
        let mut session = driver.begin().await.unwrap();
        let table = "CREATE TABLE t (n INTEGER PRIMARY KEY, m TEXT NOT NULL) STRICT";
        session.execute(table, vec![]).await.unwrap();
        session.commit().await.unwrap();
        let insert = "INSERT INTO t (n, m) VALUES ($1, $2)";
        let row = |n: i64, m: String| vec![Value::Int(Some(n)), Value::Text(Some(m))];
        for n in 0..3 {
            let mut session = driver.begin().await.unwrap();
            // As if the disk were full: a limit of this connection alone.
            session
                .fetch("PRAGMA max_page_count = 1", vec![])
                .await
                .unwrap();
            let error = session.execute(insert, row(n, "x".repeat(1_000_000))).await;
            let error = error.unwrap_err();
            assert!(error.is_passing(), "{error:?}");
            drop(session);

            let mut session = driver.begin().await.unwrap();
            session
                .execute(insert, row(n, "small".to_owned()))
                .await
                .unwrap();
            session.commit().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_store_that_is_closed_may_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let driver = opened(&folder).await;
        driver.close().await;
        let error = driver.begin().await.err().unwrap();
        assert!(error.is_passing(), "{error:?}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_files_of_the_store_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), everybody).unwrap();
        let driver = opened(&folder).await;
        let mut session = driver.begin().await.unwrap();
        let table = "CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT";
        session.execute(table, Vec::new()).await.unwrap();
        session.commit().await.unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
            seen += 1;
        }
        assert_eq!(seen, 3, "the file, its log and its index");
    }
}
