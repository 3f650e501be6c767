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

mod address;
pub(super) mod copy_target;
mod encoding;
mod error;
mod look_up;
mod pool;
mod row;
mod session;
mod statement;
mod unfinished_copy;
pub(super) mod unfit;

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use self::error::{failed, is_missing_table, migration_failed};
use self::look_up::LookUps;
use self::pool::{Pool, away};
use self::session::{ANSWER_TIME, PostgresSession};
use self::unfinished_copy::is_unfinished;
use super::StoreError;
use super::driver::{Claim, Driver, PoolUse, Row, Session, Value};
use super::lock;
use super::schema::{self, Text};
use crate::host_and_port::host_and_port;

/// The migrations, oldest first.
const MIGRATIONS: &[Text] = &[
    (
        1,
        "start",
        include_str!("../../migrations/postgres/0001_start.sql"),
    ),
    (
        2,
        "changes",
        include_str!("../../migrations/postgres/0002_changes.sql"),
    ),
];

/// Connections of one process: a worker uses two, and one for each batch that it processes at once;
/// the others are for requests. A server
/// allows 100 as installed, so several processes fit beside each other.
const CONNECTIONS: u32 = 12;

/// The longest that one statement may take, waiting for locks included, and with it the longest that
/// a link that swallows everything keeps its users waiting. Batches take a fraction of a second, and
/// what concerns many rows (walks over all customers, bulk replays) is done in batches; the longest
/// single statements, figures over millions of rows, take a second or two.
const STATEMENT_TIMEOUT: &str = "8s";

/// The longest pause within a transaction. Ours never wait for anything but the database, so a
/// pause means that this process hangs or its network is gone; its locks must not stay.
const IDLE_TIMEOUT: &str = "8s";

/// The server's own limit for what it has sent and nobody acknowledged: a link that is gone ends
/// the session, and its locks, also in the middle of a long answer.
const UNACKNOWLEDGED_TIMEOUT: &str = "10s";

/// Plans are made anew for each execution, with the tables as they are then. The server would keep the
/// plan of the first executions: those of a new store were made for empty tables, where any index is
/// as good as the right one, and stay until the tables are analyzed, a minute of a first import or
/// never. Planning costs some tenths of a millisecond a statement, and a batch has few. Kept for a second
/// at a time, with all but the ways by indexes switched off, they saved a worker nothing.
const PLANS: &str = "force_custom_plan";

/// Statements are not compiled. The server compiles what it thinks to be long; ours, over tables of which it
/// knows little, take it a millisecond where to compile them takes forty.
const JIT: &str = "off";

/// Longest time to connect for a migration.
const CONNECT_TIME: Duration = Duration::from_secs(4);

/// Prepared statements kept for each connection. There are about 120 texts; those of lists come
/// in as many forms as filters are combined, and the rarest may be forgotten.
const STATEMENTS: usize = 256;

pub(super) struct PostgresDriver {
    pool: Pool,
    look_ups: LookUps,
    options: PgConnectOptions,
}

impl PostgresDriver {
    /// Prepares to connect. The first connection is made when the first transaction begins.
    pub(super) fn new(url: &SecretString) -> Result<Self, StoreError> {
        let options = address::options(url)?
            .application_name("tollgate")
            .statement_cache_capacity(STATEMENTS);
        let limited = options.clone().options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            ("tcp_user_timeout", UNACKNOWLEDGED_TIMEOUT),
            ("plan_cache_mode", PLANS),
            ("jit", JIT),
        ]);
        let look_ups = LookUps::new(&limited);
        let pool = Pool::new("postgres", limited, CONNECTIONS);
        Ok(Self {
            pool,
            look_ups,
            options,
        })
    }

    async fn begin_with(&self, sql: &'static str) -> Result<Box<dyn Session>, StoreError> {
        let lease = self.pool.take().await?;
        Ok(Box::new(PostgresSession::begin(lease, sql).await?))
    }
}

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

    async fn look_up(&self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.look_ups.ask(sql, binds).await
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        // A connection of its own, without a time limit: to build an index takes what it takes.
        let single = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIME)
            .connect_with(self.options.clone())
            .await
            .map_err(failed)?;
        let migrated = async {
            encoding::refuse_narrow(&mut *single.acquire().await.map_err(failed)?).await?;
            let migrated = schema::migrator(MIGRATIONS).run(&single).await;
            migrated.map_err(migration_failed)
        };
        let migrated = migrated.await;
        single.close().await;
        migrated
    }

    async fn check_schema(&self) -> Result<(), StoreError> {
        let mut lease = self.pool.take().await?;
        let asked = schema::check(lease.connection()?, MIGRATIONS, is_missing_table);
        timeout(ANSWER_TIME, asked)
            .await
            .unwrap_or_else(|_| Err(away("the server did not answer in time")))
            .map_err(|error| match error {
                StoreError::Migrate { source } => migration_failed(source),
                error => error,
            })?;
        let asked = is_unfinished(lease.connection()?);
        let unfinished = timeout(ANSWER_TIME, asked)
            .await
            .unwrap_or_else(|_| Err(away("the server did not answer in time")))?;
        lease.give_back();
        if unfinished {
            return Err(StoreError::HalfCopied);
        }
        Ok(())
    }

    fn place(&self) -> String {
        let place = host_and_port(self.options.get_host(), self.options.get_port());
        let user = self.options.get_username();
        // Without a name, the server takes the user's.
        let database = self.options.get_database().unwrap_or(user);
        format!("PostgreSQL at {place}, database {database}, user {user}")
    }

    async fn claim_queue(&self) -> Result<Option<Claim>, StoreError> {
        // The lock lives as long as its connection, and the server ends that of a dead process.
        // Should the server restart, the claim is gone; two processes would then deliver the
        // same messages, which costs work and changes nothing.
        let claimed = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(lock::queue())
                .fetch_one(&mut connection)
                .await?;
            Ok((free, connection))
        };
        let (free, connection) = timeout(ANSWER_TIME, claimed)
            .await
            .map_err(|_| away("the server did not answer in time"))?
            .map_err(failed)?;
        Ok(free.then(|| Claim::new(Some(Box::new(connection)))))
    }

    fn has_many_writers(&self) -> bool {
        true
    }

    async fn remove_traces(&self) -> Result<bool, StoreError> {
        // Versions of rows from before are the server's, which removes them by VACUUM.
        Ok(true)
    }

    fn pools(&self) -> Vec<PoolUse> {
        vec![self.pool.usage(), self.look_ups.usage()]
    }

    async fn close(&self) {
        self.look_ups.close().await;
        self.pool.close().await;
    }
}
