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
use self::file::{FileId, make_readable, refuse_replaced};
use super::StoreError;
use super::driver::{Claim, Driver, PoolUse, Row, Session, Value};
use super::error::Trouble;
use super::gate::{Closed, Gate};
use super::schema::{self, Text};

/// The migrations, oldest first.
const MIGRATIONS: &[Text] = &[
    (
        1,
        "start",
        include_str!("../../migrations/sqlite/0001_start.sql"),
    ),
    (
        2,
        "changes",
        include_str!("../../migrations/sqlite/0002_changes.sql"),
    ),
];

pub(super) struct SqliteDriver {
    /// SQLite has one writer at a time. One connection makes the others wait in our pool, in
    /// order, instead of in SQLite's busy loop, which is neither fair nor wakes at once.
    writer: SqlitePool,
    /// Closed while another process holds the write lock for longer than anybody should.
    gate: Gate,
    readers: SqlitePool,
    path: PathBuf,
    /// The file that was opened.
    file: FileId,
}

impl SqliteDriver {
    /// Opens the file, making it if it is missing.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        make_readable(path)?;
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
            // Pages of 4 KiB: 16 MiB of log before it is carried over. A page that was written often,
            // such as an index's, is carried over once, and the disk is waited for a quarter as often.
            .pragma("wal_autocheckpoint", "4000")
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
            // A connection to a file does not break while it rests, and each question to it is a
            // hand-over to its thread and back.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        let file = FileId::at(path).map_err(|error| failed(sqlx::Error::Io(error)))?;
        Ok(Self {
            writer,
            gate: Gate::default(),
            readers,
            path: path.to_owned(),
            file,
        })
    }
}

#[async_trait]
impl Driver for SqliteDriver {
    async fn begin(&self) -> Result<Box<dyn Session>, StoreError> {
        refuse_replaced(&self.path, self.file)?;
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

    async fn look_up(&self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let (sql, arguments) = statement::translate(sql, binds)?;
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .fetch_all(&self.readers)
            .await
            .map_err(failed)?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        // The migrator's own lock is none with this engine: two that begin at once would both make the
        // same tables.
        let locked = self.writer.begin_with("BEGIN IMMEDIATE").await;
        let mut locked = locked.map_err(failed)?;
        schema::migrator(MIGRATIONS)
            .run_direct(None, &mut *locked, false)
            .await
            .map_err(|source| StoreError::Migrate { source })?;
        locked.commit().await.map_err(failed)
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

    fn row_address(&self) -> Option<&'static str> {
        // Tables WITHOUT ROWID have none.
        None
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit().await.map_err(failed)
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
