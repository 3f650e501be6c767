//! The handle of a store: what begins transactions, and looks things up without one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use secrecy::SecretString;

use super::driver::{Claim, Driver, PoolUse, Row, Session};
use super::held::{Held, LockMode};
use super::license_maker::LicenseMaker;
use super::postgres::PostgresDriver;
use super::probe::Trial;
use super::record::Binds;
use super::reservation::current;
use super::sqlite::SqliteDriver;
use super::tx::{Tx, is_idle};
use super::writes::{LastWrites, WriteRecord};
use super::{StoreError, Trouble};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    driver: Arc<dyn Driver>,
    statements: Arc<AtomicU64>,
    changes: Arc<AtomicU64>,
    record: Arc<WriteRecord>,
    licenses: Option<Arc<dyn LicenseMaker>>,
    announces: bool,
}

impl Store {
    /// Opens the embedded store, making the file if it is missing.
    ///
    /// # Errors
    /// When the file cannot be opened or made.
    pub async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::over(SqliteDriver::open(path).await?))
    }

    /// The store on a PostgreSQL server. Connects when it is first used.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn open_postgres(url: &SecretString) -> Result<Self, StoreError> {
        Ok(Self::over(PostgresDriver::new(url)?))
    }

    fn over(driver: impl Driver) -> Self {
        Self {
            driver: Arc::new(driver),
            statements: Arc::default(),
            changes: Arc::default(),
            record: Arc::default(),
            licenses: None,
            announces: false,
        }
    }

    /// Lets the licences that are owed for what was bought be made.
    #[must_use]
    pub fn with_license_maker(mut self, maker: Arc<dyn LicenseMaker>) -> Self {
        self.licenses = Some(maker);
        self
    }

    /// Keeps every change until a broker was told of it. Without it, only those are kept that a hook
    /// wants.
    #[must_use]
    pub const fn announcing(mut self, announces: bool) -> Self {
        self.announces = announces;
        self
    }

    /// Refuses a schema that is not of this version.
    ///
    /// # Errors
    /// [`StoreError::Outdated`] or [`StoreError::Newer`], or when the database does not answer.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        self.driver.check_schema().await
    }

    /// Says where the rows are, for people, without any password.
    pub fn place(&self) -> String {
        self.driver.place()
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// When a migration fails, or the schema is of a newer version.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match self.driver.check_schema().await {
            Ok(()) | Err(StoreError::Outdated) => self.driver.migrate().await,
            Err(error) => Err(error),
        }
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
    /// Within [`on_behalf_of`](super::idempotency::on_behalf_of) it belongs to the reserved request, which
    /// [`Tx::commit`] marks as having taken effect.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let held = self.driver.has_many_writers().then(Held::default);
        let session = self.record.noting(self.driver.begin().await)?;
        let mut tx = self.handle(session, held);
        tx.record = Some(Arc::clone(&self.record));
        tx.reservation = current();
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

    /// Runs a look-up: a statement that only reads, outside of any transaction.
    pub(super) async fn look_up(&self, sql: &str, binds: Binds) -> Result<Vec<Row>, StoreError> {
        let binds = binds?;
        if is_idle(&binds) {
            return Ok(Vec::new());
        }
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.driver.look_up(sql, binds).await
    }

    /// Writes something, makes it durable and takes it away again. Fails in all the cases in which
    /// real writes fail: the database is away, its disk is full, it is read-only, or somebody holds
    /// a lock that keeps writes to any table waiting. May be repeated; leaves nothing behind, or at
    /// worst one row, which the next trial removes.
    ///
    /// # Errors
    /// When the store takes no writes.
    pub async fn try_write(&self, trial: Trial, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let locked = tx.session.refuse_held_locks().await;
        self.record.noting(locked)?;
        tx.probe_add(trial, now).await?;
        if trial == Trial::Large {
            // Made durable before it is removed, because an engine need not write what was added
            // and removed in one transaction.
            tx.commit().await?;
            tx = self.begin().await?;
        }
        tx.probe_clear().await?;
        tx.commit().await
    }

    /// Removes copies that the engine keeps of what was removed or changed, as far as it can. Returns
    /// false if it has to be tried again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove_traces(&self) -> Result<bool, StoreError> {
        self.driver.remove_traces().await
    }

    fn handle(&self, session: Box<dyn Session>, held: Option<Held>) -> Tx {
        Tx {
            session,
            held,
            reservation: None,
            statements: Arc::clone(&self.statements),
            changes: Arc::clone(&self.changes),
            record: None,
            licenses: self.licenses.clone(),
            announces: self.announces,
            changed: false,
        }
    }

    /// Returns when this process last wrote and when it last failed to.
    pub fn last_writes(&self) -> LastWrites {
        self.record.last()
    }

    /// Counts the transactions of this process that changed something and have ended. What was read
    /// before is still as it was, as far as this process goes, if the count is the same.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Counts the statements that have been run so far. The cost of a batch is the number of its
    /// statements, whatever its size.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Returns what each pool of connections is used for at this moment.
    pub fn pools(&self) -> Vec<PoolUse> {
        self.driver.pools()
    }

    /// Ends all connections, after the transactions that are under way.
    pub async fn close(&self) {
        self.driver.close().await;
        // Nothing is written from now on, however lately it was.
        self.record.failed(Trouble::Away);
    }
}
