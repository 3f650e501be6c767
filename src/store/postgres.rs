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

mod error;
mod row;
mod statement;

use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Postgres, Transaction};

use self::error::{failed, is_missing_table};
use super::StoreError;
use super::driver::{Claim, Driver, Row, Session, Value};
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

/// Longest wait for a free connection or a server that is away. Less than a provider waits for
/// its answer, so that a 503 still reaches it.
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
        let options: PgConnectOptions = url.expose_secret().parse().map_err(failed)?;
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
        let tx = self.pool.begin_with(sql).await.map_err(failed)?;
        Ok(Box::new(PostgresSession(tx)))
    }
}

/// A commit is on the disk when it returns, whatever the server's settings say: a 200 may rest
/// on it. Where they ask for more, such as a standby's word, they stay.
const DURABLE: &str = r"
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'
";

/// Takes the locks that writes take, which hinder no other writes, on every table of the schema:
/// somebody's `LOCK TABLE`, `CREATE INDEX` or `VACUUM FULL` may hold up one table alone.
const TRY_LOCKS: &str = r"
    DO $$
    BEGIN
        SET LOCAL lock_timeout = '400ms';
        EXECUTE (
            SELECT 'LOCK TABLE ' || string_agg(format('%I', tablename), ', ' ORDER BY tablename)
                || ' IN ROW EXCLUSIVE MODE'
            FROM pg_tables
            WHERE schemaname = current_schema() AND tablename <> '_sqlx_migrations'
        );
    END
    $$
";

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
            .map_err(failed)?;
        let migrated = schema::migrator(MIGRATIONS).run(&single).await;
        single.close().await;
        migrated.map_err(|source| StoreError::Migrate { source })
    }

    async fn is_current(&self) -> Result<bool, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        schema::is_current(&mut *connection, MIGRATIONS, is_missing_table).await
    }

    async fn claim_queue(&self) -> Result<Option<Claim>, StoreError> {
        // The lock lives as long as its connection, and the server ends that of a dead process.
        // Should the server restart, the claim is gone; two processes would then deliver the
        // same messages, which costs work and changes nothing.
        let mut connection = PgConnection::connect_with(&self.options)
            .await
            .map_err(failed)?;
        let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(lock::queue())
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
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
            .map_err(failed)?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    async fn execute(&mut self, sql: &str, binds: Vec<Value>) -> Result<u64, StoreError> {
        let (sql, arguments) = statement::translate(sql, binds)?;
        let done = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .execute(&mut *self.0)
            .await
            .map_err(failed)?;
        Ok(done.rows_affected())
    }

    async fn lock_app(&mut self, key: i64, exclusive: bool) -> Result<(), StoreError> {
        let sql = if exclusive {
            "SELECT pg_advisory_xact_lock($1)"
        } else {
            "SELECT pg_advisory_xact_lock_shared($1)"
        };
        sqlx::query(sql)
            .bind(key)
            .execute(&mut *self.0)
            .await
            .map(|_| ())
            .map_err(failed)
    }

    async fn lock_in_order(&mut self, keys: &[i64]) -> Result<(), StoreError> {
        // `unnest` answers in the array's order, and the lock is taken row by row.
        sqlx::query("SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS keys (key)")
            .bind(keys)
            .execute(&mut *self.0)
            .await
            .map(|_| ())
            .map_err(failed)
    }

    async fn lock_if_free(&mut self, keys: &[i64]) -> Result<bool, StoreError> {
        let sql = r"
            SELECT coalesce(bool_and(pg_try_advisory_xact_lock(key)), true)
            FROM unnest($1::bigint[]) AS keys (key)
        ";
        sqlx::query_scalar(sql)
            .bind(keys)
            .fetch_one(&mut *self.0)
            .await
            .map_err(failed)
    }

    async fn refuse_held_locks(&mut self) -> Result<(), StoreError> {
        self.0.execute(TRY_LOCKS).await.map(|_| ()).map_err(failed)
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit().await.map_err(failed)
    }
}
