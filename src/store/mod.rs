//! The customer store, the event ledger and what the built-in queue needs.
//!
//! All reads and writes go through a [`Tx`], which is a transaction: `commit` consumes it,
//! dropping it undoes everything, and no function takes a pool. Statements are written once for
//! every engine (see `store/driver.rs`), as texts that can be pasted into the engine's own client.
//! Rows are structs whose fields are the columns (see `store/record.rs`). Methods of `Tx` are named resource first (`customer_find`,
//! `event_list`), so that what belongs together sorts together, and each resource has its file.
//! No transaction stays open across a network call other than the database's own.

mod access;
mod account;
mod admin_token;
mod app;
mod audit;
mod cell;
mod customer;
mod driver;
mod entitlement;
mod event;
mod flag;
mod grant;
pub mod idempotency;
mod ledger;
mod license;
mod lock;
mod message;
mod package;
mod page;
mod plan;
mod postgres;
mod purge;
mod record;
mod release;
pub mod replay;
mod schema;
pub mod secret;
mod sqlite;
mod stats;
mod subscription;
mod token;
pub mod usage;
mod working_set;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use secrecy::SecretString;

pub use access::{Granted, TokenHolder};
pub use app::App;
pub use audit::{Actor, ActorFilter, AuditEntry, AuditFilter, AuditRecord};
pub use customer::{CustomerFilter, Match};
pub use event::{EventFilter, EventRecord};
pub use flag::FlagFilter;
pub use grant::HandGrant;
use idempotency::Reservation;
pub(crate) use ledger::StoredEvent;
pub use ledger::{LedgerEntry, LedgerState};
pub use license::LicenseFilter;
pub use lock::LockMode;
pub use message::{MessageMove, NewMessage, StoredMessage};
pub use package::NamedPackage;
pub use page::{Listed, Window};
pub use plan::{Plan, PlanSource};
pub use subscription::OwnedSubscription;

use crate::domain::id::AppSlug;
use cell::FromCell;
pub use driver::Claim;
use driver::{Driver, Row, Session, Value};
use lock::Held;
use record::{Binds, FromRow, Reader};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, full or broken. Trying again later may succeed.
    #[error("the database did not answer as it should")]
    Database {
        /// The engine's error.
        #[source]
        source: sqlx::Error,
    },
    /// The database refused a statement for its text or its values. It would refuse it again, so
    /// the caller must not wait for a better time.
    #[error("the database refused a statement")]
    Refused {
        /// The engine's error.
        #[source]
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date")]
    Migrate {
        /// The migration and its error.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The schema is of another version, and with PostgreSQL a server does not change it: others
    /// may still be using the old one.
    #[error("the database's schema is not of this version: run `tollgate migrate`")]
    Outdated,
    /// Somebody else is working on the same customers. Nothing was changed.
    #[error("another transaction works on the same customers")]
    Contended,
    /// The request took longer than its `Idempotency-Key` waits, and another with the same key has
    /// begun. Nothing was changed.
    #[error("another request with the same Idempotency-Key has taken over")]
    Overtaken,
    /// A row holds what this version cannot read.
    #[error("column `{column}` holds what cannot be read: {detail}")]
    CorruptRow {
        /// The table and the column.
        column: String,
        /// The fault.
        detail: String,
    },
    /// A document could not be written as JSON.
    #[error("a document could not be written")]
    Document {
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

impl StoreError {
    /// An error of an engine, which knows by its code whether the statement is to blame.
    fn of_engine(source: sqlx::Error, is_refusal: fn(&str) -> bool) -> Self {
        let refused = match &source {
            sqlx::Error::Configuration(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. } => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_refusal(&code)),
            _ => false,
        };
        if refused {
            Self::Refused { source }
        } else {
            Self::Database { source }
        }
    }

    /// Returns true if the same work may succeed later without anybody changing it.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database { .. } | Self::Contended | Self::Overtaken => true,
            Self::Refused { .. }
            | Self::Migrate { .. }
            | Self::Outdated
            | Self::CorruptRow { .. }
            | Self::Document { .. } => false,
        }
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    driver: Arc<dyn Driver>,
    statements: Arc<AtomicU64>,
}

impl Store {
    /// Opens the embedded store, making the file if it is missing.
    ///
    /// # Errors
    /// When the file cannot be opened or made.
    pub async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        let driver = Arc::new(sqlite::SqliteDriver::open(path).await?);
        Ok(Self {
            driver,
            statements: Arc::default(),
        })
    }

    /// The store on a PostgreSQL server. Connects when it is first used.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn open_postgres(url: &SecretString) -> Result<Self, StoreError> {
        let driver = Arc::new(postgres::PostgresDriver::new(url)?);
        Ok(Self {
            driver,
            statements: Arc::default(),
        })
    }

    /// Refuses a schema that is not of this version.
    ///
    /// # Errors
    /// [`StoreError::Outdated`], or when the database does not answer.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        if self.driver.is_current().await? {
            Ok(())
        } else {
            Err(StoreError::Outdated)
        }
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// When a migration fails, or the schema is of a newer version.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.driver.migrate().await
    }

    /// Claims the built-in queue, whose messages one process at a time may deliver; `None` if
    /// another process on this database has it. The embedded store always says yes: there, the
    /// lock of the data folder decides.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn claim_queue(&self) -> Result<Option<Claim>, StoreError> {
        self.driver.claim_queue().await
    }

    /// Begins a transaction that may write. What must not run beside others on the same rows
    /// takes locks first: see [`Tx::lock_apps`] and [`begin_in`](Self::begin_in).
    ///
    /// Within [`idempotency::on_behalf_of`] it belongs to the reserved request, which
    /// [`Tx::commit`] marks as having taken effect.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let held = self.driver.has_many_writers().then(Held::default);
        let mut tx = self.handle(self.driver.begin().await?, held);
        tx.reservation = idempotency::current_reservation();
        Ok(tx)
    }

    /// Begins a transaction that may write and is the only one to change this app until it ends.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin_in(&self, app: &AppSlug) -> Result<Tx, StoreError> {
        let mut tx = self.begin().await?;
        tx.lock_apps([app], LockMode::Exclusive).await?;
        Ok(tx)
    }

    /// Begins a transaction that only reads, one consistent picture. It needs no locks.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        Ok(self.handle(self.driver.read().await?, None))
    }

    fn handle(&self, session: Box<dyn Session>, held: Option<Held>) -> Tx {
        Tx {
            session,
            held,
            reservation: None,
            statements: Arc::clone(&self.statements),
        }
    }

    /// Counts the statements that have been run so far. The cost of a batch is the number of its
    /// statements, whatever its size.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Ends all connections, after the transactions that are under way.
    pub async fn close(&self) {
        self.driver.close().await;
    }
}

/// A transaction: the only way to the rows. Dropping it undoes everything.
pub struct Tx {
    session: Box<dyn Session>,
    /// The locks that it has; `None` where the engine needs none.
    held: Option<Held>,
    /// The request with an `Idempotency-Key` that it changes something for.
    reservation: Option<Reservation>,
    statements: Arc<AtomicU64>,
}

impl Tx {
    /// Makes everything of this transaction durable, together with the mark of the reserved
    /// request that it belongs to, if it does.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was changed, or the answer was lost.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        if let Some(reservation) = self.reservation.take() {
            self.idempotency_mark(&reservation).await?;
        }
        self.session.commit().await
    }

    /// Runs a statement and reads the rows of its answer.
    async fn fetch<R: FromRow>(&mut self, sql: &str, binds: Binds) -> Result<Vec<R>, StoreError> {
        let rows = self.answer(sql, binds?).await?;
        rows.iter()
            .map(|row| R::from_row(&mut Reader::new(row)))
            .collect()
    }

    /// As [`fetch`](Self::fetch), for a statement that finds one row at most.
    async fn fetch_opt<R: FromRow>(
        &mut self,
        sql: &str,
        binds: Binds,
    ) -> Result<Option<R>, StoreError> {
        let rows = self.answer(sql, binds?).await?;
        let first = rows.first();
        first
            .map(|row| R::from_row(&mut Reader::new(row)))
            .transpose()
    }

    /// The value of a statement that selects one column, of this table, and finds one row at most.
    async fn fetch_value<T: FromCell>(
        &mut self,
        table: &str,
        sql: &str,
        binds: Binds,
    ) -> Result<Option<T>, StoreError> {
        let rows = self.answer(sql, binds?).await?;
        let first = rows.first();
        first.map(|row| Reader::new(row).only(table)).transpose()
    }

    /// The values of a statement that selects one column, of this table.
    async fn fetch_values<T: FromCell, C: FromIterator<T>>(
        &mut self,
        table: &str,
        sql: &str,
        binds: Binds,
    ) -> Result<C, StoreError> {
        let rows = self.answer(sql, binds?).await?;
        rows.iter()
            .map(|row| Reader::new(row).only(table))
            .collect()
    }

    async fn answer(&mut self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        if is_idle(&binds) {
            return Ok(Vec::new());
        }
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.session.fetch(sql, binds).await
    }

    /// Runs a statement; the number of rows that it changed.
    async fn execute(&mut self, sql: &str, binds: Binds) -> Result<u64, StoreError> {
        let binds = binds?;
        if is_idle(&binds) {
            return Ok(0);
        }
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.session.execute(sql, binds).await
    }
}

/// Returns true if a statement is over an empty set, so that it would find or change nothing.
fn is_idle(binds: &[Value]) -> bool {
    binds.iter().any(|value| match value {
        Value::Rows(batch) => batch.count == 0 && !batch.sent_when_empty,
        Value::Text(_)
        | Value::Int(_)
        | Value::Bool(_)
        | Value::Time(_)
        | Value::Nanos(_)
        | Value::Json(_)
        | Value::Bytes(_) => false,
    })
}
