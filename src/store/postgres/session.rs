//! A transaction on one connection.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgArguments;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::time::timeout;

use super::error::failed;
use super::pool::{Lease, away};
use super::statement;
use crate::store::StoreError;
use crate::store::driver::{Row, Session, Value};

/// The longest wait for any answer, a little more than the server gives a statement: what comes
/// later never comes, because the link or the server's process is gone.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(10);

/// The longest wait for the answer to `BEGIN`, which does nothing.
const BEGIN_TIME: Duration = Duration::from_secs(3);

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

/// A transaction. Dropped without a commit, it is undone.
pub(super) struct PostgresSession {
    /// `None` once the transaction has ended or the connection is lost.
    lease: Option<Lease>,
}

impl PostgresSession {
    /// Begins a transaction with this statement.
    pub(super) async fn begin(lease: Lease, sql: &'static str) -> Result<Self, StoreError> {
        let mut session = Self { lease: Some(lease) };
        session
            .within(BEGIN_TIME, async |connection| connection.execute(sql).await)
            .await?;
        Ok(session)
    }

    /// Runs something on the connection. One that does not answer in time, or that broke, is not used
    /// again. Nor is it if the caller goes away in the middle of an answer.
    async fn within<T>(
        &mut self,
        limit: Duration,
        asked: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let Some(lease) = &mut self.lease else {
            return Err(away("the connection of this transaction was lost"));
        };
        let answer = timeout(limit, asked(lease.connection()?)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                // The server's own errors leave the connection as it is.
                if !matches!(
                    error,
                    sqlx::Error::Database(_)
                        | sqlx::Error::RowNotFound
                        | sqlx::Error::Encode(_)
                        | sqlx::Error::Decode(_)
                        | sqlx::Error::ColumnDecode { .. }
                ) {
                    self.discard();
                }
                Err(failed(error))
            }
            Err(_elapsed) => {
                self.discard();
                Err(away("the server did not answer in time"))
            }
        }
    }

    fn discard(&mut self) {
        if let Some(mut lease) = self.lease.take() {
            lease.discard();
        }
    }
}

impl Drop for PostgresSession {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.undo();
        }
    }
}

fn query<'a>(
    sql: String,
    arguments: PgArguments,
) -> sqlx::query::Query<'a, sqlx::Postgres, PgArguments> {
    sqlx::query_with(AssertSqlSafe(sql), arguments)
}

#[async_trait]
impl Session for PostgresSession {
    async fn fetch(&mut self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        let (sql, arguments) = statement::translate(sql, binds)?;
        let query = query(sql, arguments);
        let rows = self
            .within(ANSWER_TIME, async |connection| {
                query.fetch_all(connection).await
            })
            .await?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    async fn execute(&mut self, sql: &str, binds: Vec<Value>) -> Result<u64, StoreError> {
        let (sql, arguments) = statement::translate(sql, binds)?;
        let query = query(sql, arguments);
        let done = self
            .within(ANSWER_TIME, async |connection| {
                query.execute(connection).await
            })
            .await?;
        Ok(done.rows_affected())
    }

    async fn lock_app(&mut self, key: i64, exclusive: bool) -> Result<(), StoreError> {
        let sql = if exclusive {
            "SELECT pg_advisory_xact_lock($1)"
        } else {
            "SELECT pg_advisory_xact_lock_shared($1)"
        };
        let query = sqlx::query(sql).bind(key);
        self.within(ANSWER_TIME, async |connection| {
            query.execute(connection).await
        })
        .await?;
        Ok(())
    }

    async fn lock_in_order(&mut self, keys: &[i64]) -> Result<(), StoreError> {
        // `unnest` answers in the array's order, and the lock is taken row by row.
        let sql = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS keys (key)";
        let query = sqlx::query(sql).bind(keys);
        self.within(ANSWER_TIME, async |connection| {
            query.execute(connection).await
        })
        .await?;
        Ok(())
    }

    async fn lock_if_free(&mut self, keys: &[i64]) -> Result<bool, StoreError> {
        let sql = r"
            SELECT coalesce(bool_and(pg_try_advisory_xact_lock(key)), true)
            FROM unnest($1::bigint[]) AS keys (key)
        ";
        let query = sqlx::query_scalar(sql).bind(keys);
        self.within(ANSWER_TIME, async |connection| {
            query.fetch_one(connection).await
        })
        .await
    }

    async fn refuse_held_locks(&mut self) -> Result<(), StoreError> {
        self.within(ANSWER_TIME, async |connection| {
            connection.execute(TRY_LOCKS).await
        })
        .await?;
        Ok(())
    }

    fn row_address(&self) -> Option<&'static str> {
        Some("ctid")
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        // The server says COMMIT also to a transaction that failed, and undoes it; that can only
        // follow an error that the caller has seen.
        self.within(ANSWER_TIME, async |connection| {
            connection.execute("COMMIT").await
        })
        .await?;
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        Ok(())
    }
}
