//! The engine at scale: PostgreSQL 15 or newer.
//!
//! Transactions that write run at READ COMMITTED beside each other; what keeps them from losing
//! each other's updates are the locks of [`lock`], not the isolation level.
//! Refused: SERIALIZABLE. While tables are small every look-up reads a whole page, so
//! two batches that share no customer fail each other, and a failed batch is work for nothing,
//! where a lock is only a wait. With four workers on one shuffled history, 598 batches took 1,415
//! transactions; with the locks they take 609.
//!
//! Texts of statements do not depend on the number of rows (see [`statement`]), so each is
//! prepared once a connection and found in sqlx's cache ever after.

mod statement;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow, PgValueRef};
use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, PgConnection, PgPool, Postgres, Row as _,
    Transaction, TypeInfo, ValueRef,
};

use super::StoreError;
use super::driver::{Cell, Claim, Driver, Row, Session, Value};
use super::lock;
use super::schema::{self, Text};

/// The migrations, oldest first.
const MIGRATIONS: &[Text] = &[(
    1,
    "start",
    include_str!("../../migrations/postgres/0001_start.sql"),
)];

/// Connections of one process: a worker uses three, the others are for requests. A server
/// allows 100 as installed, so several processes fit beside each other.
const CONNECTIONS: u32 = 12;

/// How long to wait for a free connection or a server that is away. Less than a provider waits
/// for its answer, so that a 503 still reaches it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(4);

/// The longest that one statement may take, waiting for locks included. Batches take a fraction
/// of a second; what takes this long will not end well.
const STATEMENT_TIMEOUT: &str = "30s";

/// The longest pause within a transaction. Ours never wait for anything but the database, so a
/// pause means that this process hangs or its network is gone; its locks must not stay.
const IDLE_TIMEOUT: &str = "30s";

/// Prepared statements kept for each connection. There are about 120 texts; those of lists come
/// in as many forms as filters are combined, and the rarest may be forgotten.
const STATEMENTS: usize = 256;

pub(super) struct PostgresDriver {
    pool: PgPool,
    options: PgConnectOptions,
}

impl PostgresDriver {
    /// Prepares to connect. The first connection is made when the first transaction begins.
    pub(super) fn new(url: &SecretString) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url
            .expose_secret()
            .parse()
            .map_err(|source| StoreError::Database { source })?;
        let options = options
            .application_name("tollgate")
            .statement_cache_capacity(STATEMENTS);
        let limited = options.clone().options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A connection that a restart of the server has cut is noticed and replaced here,
            // for one round trip, instead of failing somebody's request.
            .test_before_acquire(true)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute(DURABLE).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(limited);
        Ok(Self { pool, options })
    }

    async fn begin_with(&self, sql: &'static str) -> Result<Box<dyn Session>, StoreError> {
        let tx = self
            .pool
            .begin_with(sql)
            .await
            .map_err(StoreError::database)?;
        Ok(Box::new(PostgresSession(tx)))
    }
}

/// A commit is on the disk when it returns, whatever the server's settings say: a 200 may rest
/// on it. Where they ask for more, such as a standby's word, they stay.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
                       WHERE current_setting('synchronous_commit') = 'off'";

#[async_trait]
impl Driver for PostgresDriver {
    async fn begin(&self) -> Result<Box<dyn Session>, StoreError> {
        self.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            .await
    }

    async fn read(&self) -> Result<Box<dyn Session>, StoreError> {
        self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        // A connection of its own, without a time limit: to build an index takes what it takes.
        let single = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(self.options.clone())
            .await
            .map_err(StoreError::database)?;
        let migrated = schema::migrator(MIGRATIONS).run(&single).await;
        single.close().await;
        migrated.map_err(|source| StoreError::Migrate { source })
    }

    async fn is_current(&self) -> Result<bool, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(StoreError::database)?;
        schema::is_current(&mut *connection, MIGRATIONS).await
    }

    async fn claim_queue(&self) -> Result<Option<Claim>, StoreError> {
        // The lock lives as long as its connection, and the server ends that of a dead process.
        // Should the server restart, the claim is gone; two processes would then deliver the
        // same messages, which costs work and changes nothing.
        let mut connection = PgConnection::connect_with(&self.options)
            .await
            .map_err(StoreError::database)?;
        let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(lock::queue())
            .fetch_one(&mut connection)
            .await
            .map_err(StoreError::database)?;
        Ok(free.then(|| Claim::new(Some(Box::new(connection)))))
    }

    fn has_many_writers(&self) -> bool {
        true
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

struct PostgresSession(Transaction<'static, Postgres>);

#[async_trait]
impl Session for PostgresSession {
    async fn fetch(&mut self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let (sql, arguments) = statement::translate(sql, binds)?;
        let rows = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .fetch_all(&mut *self.0)
            .await
            .map_err(StoreError::database)?;
        neutral(&rows)
    }

    async fn execute(&mut self, sql: &str, binds: Vec<Value>) -> Result<u64, StoreError> {
        let (sql, arguments) = statement::translate(sql, binds)?;
        let done = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .execute(&mut *self.0)
            .await
            .map_err(StoreError::database)?;
        Ok(done.rows_affected())
    }

    async fn lock_gate(&mut self, gate: i64, alone: bool) -> Result<(), StoreError> {
        let sql = if alone {
            "SELECT pg_advisory_xact_lock($1)"
        } else {
            "SELECT pg_advisory_xact_lock_shared($1)"
        };
        self.execute(sql, vec![gate.into()]).await.map(|_| ())
    }

    async fn lock_in_order(&mut self, keys: &[i64]) -> Result<(), StoreError> {
        // `unnest` answers in the array's order, and the lock is taken row by row.
        sqlx::query("SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS keys (key)")
            .bind(keys)
            .execute(&mut *self.0)
            .await
            .map(|_| ())
            .map_err(StoreError::database)
    }

    async fn lock_if_free(&mut self, keys: &[i64]) -> Result<bool, StoreError> {
        let sql = "SELECT coalesce(bool_and(pg_try_advisory_xact_lock(key)), true) \
                   FROM unnest($1::bigint[]) AS keys (key)";
        sqlx::query_scalar(sql)
            .bind(keys)
            .fetch_one(&mut *self.0)
            .await
            .map_err(StoreError::database)
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit().await.map_err(StoreError::database)
    }
}

fn neutral(rows: &[PgRow]) -> Result<Vec<Row>, StoreError> {
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

fn cell(row: &PgRow, index: usize) -> Result<Cell, StoreError> {
    let raw = row.try_get_raw(index).map_err(StoreError::database)?;
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    match raw.type_info().name() {
        "INT8" => row.try_get(index).map(Cell::Int),
        "INT4" => row.try_get::<i32, _>(index).map(|it| Cell::Int(it.into())),
        "BOOL" => row.try_get::<bool, _>(index).map(|it| Cell::Int(it.into())),
        "TIMESTAMPTZ" => row.try_get(index).and_then(nanos).map(Cell::Int),
        "BYTEA" => row.try_get(index).map(Cell::Bytes),
        "JSONB" => document(&raw).map(Cell::Text),
        _ => row.try_get(index).map(Cell::Text),
    }
    .map_err(StoreError::database)
}

fn nanos(at: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    at.timestamp_nanos_opt()
        .ok_or_else(|| sqlx::Error::Decode("an instant outside the years 1678 to 2261".into()))
}

/// JSONB travels as a version, which is 1, and the document's text.
/// <https://www.postgresql.org/docs/current/datatype-json.html>
fn document(raw: &PgValueRef<'_>) -> Result<String, sqlx::Error> {
    let bytes = raw.as_bytes().map_err(sqlx::Error::Decode)?;
    let Some((1, text)) = bytes.split_first() else {
        let what = "a JSONB value of an unknown form";
        return Err(sqlx::Error::Decode(what.into()));
    };
    String::from_utf8(text.to_vec()).map_err(|error| sqlx::Error::Decode(error.into()))
}
