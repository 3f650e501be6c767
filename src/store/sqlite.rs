//! The embedded engine: one SQLite file.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{
    Arguments, AssertSqlSafe, Column, Row as _, SqlitePool, Transaction, TypeInfo, ValueRef,
};

use super::StoreError;
use super::driver::{Batch, Cell, Claim, Driver, Row, Session, Value};
use super::schema::{self, Text};
use crate::domain::time::Timestamp;

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
    readers: SqlitePool,
}

impl SqliteDriver {
    /// Opens the file, making it if it is missing.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        make_private(path).map_err(|source| StoreError::database(sqlx::Error::Io(source)))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // Readers and the writer do not wait for each other.
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on the disk when it returns: a 200 may rest on it.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // Another process (the `events` command beside a server) may hold the write lock
            // for one batch; five seconds is far longer than any batch takes.
            .busy_timeout(Duration::from_secs(5));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(StoreError::database)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .min_connections(0)
            .connect_lazy_with(options);
        Ok(Self { writer, readers })
    }
}

#[async_trait]
impl Driver for SqliteDriver {
    async fn begin(&self) -> Result<Box<dyn Session>, StoreError> {
        // Taking the write lock at the start: a transaction that reads first and is refused the
        // lock later could only be thrown away.
        let tx = self
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(StoreError::database)?;
        Ok(Box::new(SqliteSession(tx)))
    }

    async fn read(&self) -> Result<Box<dyn Session>, StoreError> {
        let tx = self.readers.begin().await.map_err(StoreError::database)?;
        Ok(Box::new(SqliteSession(tx)))
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrator(MIGRATIONS)
            .run(&self.writer)
            .await
            .map_err(|source| StoreError::Migrate { source })
    }

    async fn is_current(&self) -> Result<bool, StoreError> {
        let mut connection = self.writer.acquire().await.map_err(StoreError::database)?;
        schema::is_current(&mut *connection, MIGRATIONS).await
    }

    async fn claim_queue(&self) -> Result<Option<Claim>, StoreError> {
        // Who serves the file holds the lock of its folder.
        Ok(Some(Claim::new(None)))
    }

    fn has_many_writers(&self) -> bool {
        false
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes the file, if it is missing, so that only its owner can read it, whatever folder it lies
/// in: it holds personal data. SQLite gives the files that it makes beside it the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

struct SqliteSession(Transaction<'static, Sqlite>);

#[async_trait]
impl Session for SqliteSession {
    async fn fetch(&mut self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let (sql, arguments) = prepare(sql, binds)?;
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .fetch_all(&mut *self.0)
            .await
            .map_err(StoreError::database)?;
        neutral(&rows)
    }

    async fn execute(&mut self, sql: &str, binds: Vec<Value>) -> Result<u64, StoreError> {
        let (sql, arguments) = prepare(sql, binds)?;
        let done = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .execute(&mut *self.0)
            .await
            .map_err(StoreError::database)?;
        Ok(done.rows_affected())
    }

    async fn lock_gate(&mut self, _gate: i64, _alone: bool) -> Result<(), StoreError> {
        Ok(())
    }

    async fn lock_in_order(&mut self, _keys: &[i64]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn lock_if_free(&mut self, _keys: &[i64]) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit().await.map_err(StoreError::database)
    }
}

/// Puts a batch's columns into the text and collects the binds. Texts come from this crate
/// alone, never from a request, which is what `AssertSqlSafe` asserts above.
fn prepare(sql: &str, binds: Vec<Value>) -> Result<(String, SqliteArguments), StoreError> {
    let mut text = sql.to_owned();
    let mut arguments = SqliteArguments::default();
    for (index, value) in binds.into_iter().enumerate() {
        let added = match value {
            Value::Text(text) => arguments.add(text),
            Value::Int(number) => arguments.add(number),
            Value::Bool(yes) => arguments.add(i64::from(yes)),
            Value::Time(at) | Value::Nanos(at) => arguments.add(at.map(Timestamp::nanos)),
            Value::Json(document) => arguments.add(document),
            Value::Bytes(bytes) => arguments.add(bytes),
            Value::Rows(batch) => {
                text = text.replace("{rows}", &unpack(&batch, index + 1));
                arguments.add(batch.into_json())
            }
        };
        added.map_err(|source| StoreError::database(sqlx::Error::Encode(source)))?;
    }
    Ok((text, arguments))
}

/// `(SELECT value ->> 0 AS key, … FROM json_each($1))`. `->>` gives SQL text or integers.
fn unpack(batch: &Batch, parameter: usize) -> String {
    let columns: Vec<String> = batch
        .columns()
        .iter()
        .enumerate()
        .map(|(index, (name, _))| format!("value ->> {index} AS {name}"))
        .collect();
    format!(
        "(SELECT {} FROM json_each(${parameter}))",
        columns.join(", ")
    )
}

fn neutral(rows: &[SqliteRow]) -> Result<Vec<Row>, StoreError> {
    let Some(first) = rows.first() else {
        return Ok(Vec::new());
    };
    let names: Arc<[String]> = first
        .columns()
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    rows.iter()
        .map(|row| {
            let cells = (0..names.len())
                .map(|index| cell(row, index))
                .collect::<Result<_, StoreError>>()?;
            Ok(Row {
                names: Arc::clone(&names),
                cells,
            })
        })
        .collect()
}

/// SQLite types values, not columns: the value says what it is.
fn cell(row: &SqliteRow, index: usize) -> Result<Cell, StoreError> {
    let raw = row.try_get_raw(index).map_err(StoreError::database)?;
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    let name = raw.type_info().name().to_owned();
    match name.as_str() {
        "INTEGER" | "BOOLEAN" => row.try_get_unchecked(index).map(Cell::Int),
        "BLOB" => row.try_get_unchecked(index).map(Cell::Bytes),
        _ => row.try_get_unchecked(index).map(Cell::Text),
    }
    .map_err(StoreError::database)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::driver::binds;

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
        session.execute(table, binds![]).await.unwrap();
        let insert = "INSERT INTO t (n, m) VALUES ($1, $2)";
        session.execute(insert, binds![1, "a"]).await.unwrap();
        let cases = [
            ("taken", insert, binds![1, "a"]),
            ("missing", insert, binds![2, None::<&str>]),
            ("of another type", insert, binds!["x", "a"]),
            ("no document", "SELECT $1 ->> 0", binds!["{"]),
        ];
        for (description, sql, binds) in cases {
            let error = session.fetch(sql, binds).await.unwrap_err();
            assert!(!error.is_passing(), "{description}: {error:?}");
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
        session.execute(table, binds![]).await.unwrap();
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
