//! The interface of an engine: open a session, run a statement, bind a set of rows.
//!
//! Everything above this file is written once, for every engine. Statements use what the engines
//! share (`$1` binds, `ON CONFLICT`, `RETURNING`); the one thing that a batch needs and that
//! they write differently, a set of rows as a bind, is a [`Batch`]. The number of statements of
//! an operation therefore never depends on the number of its rows. Refused: one implementation
//! of every query per engine, because two copies drift apart; and sqlx's `Any`, because it has
//! no documents, no instants and no sets.

use std::any::Any;
use std::sync::Mutex;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::StoreError;
use crate::domain::time::Timestamp;

/// A value to bind. The kind is always known, also where the value is absent, because engines
/// with typed parameters need it.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text.
    Text(Option<String>),
    /// A whole number.
    Int(Option<i64>),
    /// Yes or no.
    Bool(Option<bool>),
    /// An instant of our own clock. An engine with a type for instants may cut it to
    /// microseconds.
    Time(Option<Timestamp>),
    /// An instant that is compared to the nanosecond: a provider's, a due time, a release.
    Nanos(Option<Timestamp>),
    /// A JSON document, as text.
    Json(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// A set of rows.
    Rows(Batch),
}

/// One column of a [`Batch`], a cell a row; see [`Value`] for the kinds.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    Text(Vec<Option<String>>),
    Int(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Time(Vec<Option<Timestamp>>),
    Nanos(Vec<Option<Timestamp>>),
    Json(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

/// A set of rows, column by column: what [`Rows`](super::record::Rows) become when they are
/// bound. In the statement's text stands `{rows}` where a table would stand; the engine puts
/// there what unpacks its bind, with the names of the columns.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(super) names: &'static [&'static str],
    pub(super) columns: Vec<Column>,
    /// The number of rows.
    pub(super) count: usize,
    /// Set if the statement must be sent although there is no row.
    pub(super) sent_when_empty: bool,
}

/// The reason why a column could not be read.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The columns of one answered row, by position. A column of another type is a fault, and so is
/// NULL in all but [`is_null`](Self::is_null).
pub(crate) trait Cells {
    fn is_null(&self, index: usize) -> Result<bool, Fault>;
    fn text(&self, index: usize) -> Result<&str, Fault>;
    fn int(&self, index: usize) -> Result<i64, Fault>;
    fn bool(&self, index: usize) -> Result<bool, Fault>;
    /// An instant, exact or not.
    fn time(&self, index: usize) -> Result<Timestamp, Fault>;
    /// The text of a document.
    fn json(&self, index: usize) -> Result<&str, Fault>;
    fn bytes(&self, index: usize) -> Result<&[u8], Fault>;
    /// The column's name in the statement.
    fn name(&self, index: usize) -> Option<&str>;
}

/// One answered row, as the engine's client has it.
pub(crate) enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    pub(super) fn cells(&self) -> &dyn Cells {
        match self {
            Self::Postgres(row) => row,
            Self::Sqlite(row) => row,
        }
    }
}

/// Held as long as a process serves the built-in queue of a store.
pub struct Claim {
    /// Keeps the claim until it is dropped. Never looked into; the lock makes it shareable.
    _keeper: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Claim {
    pub(super) fn new(keeper: Option<Box<dyn Any + Send>>) -> Self {
        Self {
            _keeper: Mutex::new(keeper),
        }
    }
}

/// The use of a pool of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// The pool.
    pub name: &'static str,
    /// Connections that somebody uses, or is making.
    pub in_use: u32,
    /// Connections that nobody uses.
    pub idle: u32,
    /// The most that it opens.
    pub most: u32,
    /// How many were made so far, if making one means to reach for a server.
    pub opened: Option<u64>,
}

/// An engine.
#[async_trait]
pub(crate) trait Driver: Send + Sync + 'static {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn Session>, StoreError>;
    /// Begins a transaction that only reads, one consistent picture.
    async fn read(&self) -> Result<Box<dyn Session>, StoreError>;
    /// Runs a statement that only reads, outside of any transaction, and reads all rows of its answer.
    /// For look-ups by keys, of which there are many: it costs one round trip. `{rows}` in the text
    /// stands for the one [`Batch`] among the binds.
    async fn look_up(&self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError>;
    /// Brings the schema up to date.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Refuses a schema that is not of this version.
    async fn check_schema(&self) -> Result<(), StoreError>;
    /// Says where the rows are, without any password.
    fn place(&self) -> String;
    /// Claims the built-in queue for this process, as long as the claim lives; `None` if another
    /// process has it.
    async fn claim_queue(&self) -> Result<Option<Claim>, StoreError>;
    /// Returns true if transactions that write run beside each other, so that they need locks. An
    /// engine with one writer at a time is asked for none.
    fn has_many_writers(&self) -> bool;
    /// Removes copies that the engine keeps of what was removed or changed, as far as it can. Returns
    /// false if it could not, because somebody still reads the state before.
    async fn remove_traces(&self) -> Result<bool, StoreError>;
    /// Returns the use of each pool.
    fn pools(&self) -> Vec<PoolUse>;
    /// Ends all connections.
    async fn close(&self);
}

/// A transaction. Dropping it undoes everything.
#[async_trait]
pub(crate) trait Session: Send {
    /// Runs a statement and reads all rows of its answer. `{rows}` in the text stands for the
    /// one [`Batch`] among the binds, if there is one.
    async fn fetch(&mut self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError>;
    /// Runs a statement. Returns the number of rows that it changed.
    async fn execute(&mut self, sql: &str, binds: Vec<Value>) -> Result<u64, StoreError>;
    /// Waits for the lock of an app, held until the transaction ends: as its only holder, or
    /// together with others who share it.
    async fn lock_app(&mut self, key: i64, exclusive: bool) -> Result<(), StoreError>;
    /// Takes locks, held until the transaction ends, waiting for each in the given order.
    async fn lock_in_order(&mut self, keys: &[i64]) -> Result<(), StoreError>;
    /// Takes locks without ever waiting. Returns true if all of them were free.
    async fn lock_if_free(&mut self, keys: &[i64]) -> Result<bool, StoreError>;
    /// Fails within half a second if somebody else holds a lock that keeps writes to any table
    /// waiting. An engine with one writer at a time has no such locks besides the one that it has
    /// taken at the beginning.
    async fn refuse_held_locks(&mut self) -> Result<(), StoreError>;
    /// Returns the column that every table has and that says where a row is, for the time of one
    /// statement; `None` if the engine has none, and keys are as good.
    fn row_address(&self) -> Option<&'static str>;
    /// Makes everything of this transaction durable.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}
