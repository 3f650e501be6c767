//! The customer store, the event ledger and what the built-in queue needs.
//!
//! All reads and writes go through a [`Tx`], which is a transaction: `commit` consumes it,
//! dropping it undoes everything, and no function takes a pool. Statements are written once for
//! every engine (see `store/driver.rs`), as texts that can be pasted into the engine's own client.
//! Rows are structs whose fields are the columns (see `store/record.rs`). Methods of `Tx` are named
//! resource first (`customer_find`, `event_list`), so that what belongs together sorts together, and
//! each resource has its file.
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
mod error;
mod event;
mod flag;
mod grant;
mod held;
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
mod reservation;
mod schema;
pub mod secret;
mod sqlite;
mod stats;
mod subscription;
mod token;
mod tx;
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
pub use held::LockMode;
pub(crate) use ledger::StoredEvent;
pub use ledger::{LedgerEntry, LedgerState};
pub use license::LicenseFilter;
pub(crate) use message::Rest;
pub use message::{MessageMove, NewMessage, StoredMessage};
pub use package::NamedPackage;
pub use page::{Listed, Window};
pub use plan::{Plan, PlanSource};
pub use subscription::OwnedSubscription;

use crate::domain::id::AppSlug;
pub use driver::Claim;
use driver::{Driver, Session};
pub use error::StoreError;
use held::Held;
pub use tx::Tx;

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
        tx.reservation = reservation::current();
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
