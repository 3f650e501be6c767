//! What an engine must be able to do: open a session, run a statement, bind a set of rows.
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

use super::StoreError;
use crate::domain::time::Timestamp;

/// A value to bind. The type is always known, also where the value is absent, because engines
/// with typed parameters need it.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text.
    Text(Option<String>),
    /// A whole number.
    Int(Option<i64>),
    /// Yes or no.
    Bool(bool),
    /// An instant of our own clock. An engine with a type for instants may cut it to
    /// microseconds.
    Time(Option<Timestamp>),
    /// An instant that is compared to the nanosecond: a provider's, a due time, a release.
    Nanos(Option<Timestamp>),
    /// A JSON document, as text.
    Json(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A set of rows; see [`Batch`].
    Rows(Batch),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}
impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}
impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}
impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}
impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Time(Some(at))
    }
}
impl From<Option<Timestamp>> for Value {
    fn from(at: Option<Timestamp>) -> Self {
        Self::Time(at)
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}
impl From<Batch> for Value {
    fn from(batch: Batch) -> Self {
        Self::Rows(batch)
    }
}

/// Binds for one statement, in order: `binds![app, key, now]`.
macro_rules! binds {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::driver::Value::from($value)),*] };
}
pub(crate) use binds;

/// The type of a column of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, or absent.
    Text,
    /// A whole number, or absent.
    Int,
    /// Yes or no, or absent.
    Bool,
    /// An instant of our own clock, or absent; see [`Value::Time`].
    Time,
    /// An exact instant, or absent; see [`Value::Nanos`].
    Nanos,
    /// A JSON document.
    Json,
}

/// A set of rows, bound as one parameter of one statement.
///
/// In the statement's text stands `{rows}` where a table would stand; the engine puts there
/// what unpacks its bind, with the names of the columns.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    columns: &'static [(&'static str, Kind)],
    cells: Vec<serde_json::Value>,
}

impl Batch {
    /// A set without rows yet, with these columns.
    pub(crate) fn new(columns: &'static [(&'static str, Kind)]) -> Self {
        Self {
            columns,
            cells: Vec::new(),
        }
    }

    /// A set of one text column named `key`.
    pub(crate) fn keys<T: ToString>(keys: impl IntoIterator<Item = T>) -> Self {
        let mut batch = Self::new(&[("key", Kind::Text)]);
        for key in keys {
            batch.row([key.to_string().into()]);
        }
        batch
    }

    /// Adds a row: one cell a column, in the order of the columns.
    pub(crate) fn row<const N: usize>(&mut self, cells: [serde_json::Value; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.cells.push(serde_json::Value::Array(cells.into()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub(super) fn columns(&self) -> &'static [(&'static str, Kind)] {
        self.columns
    }

    /// The cells of one column, row by row.
    pub(super) fn column(&self, index: usize) -> impl Iterator<Item = &serde_json::Value> {
        self.cells
            .iter()
            .map(move |row| row.get(index).unwrap_or(&serde_json::Value::Null))
    }

    pub(super) fn into_json(self) -> String {
        serde_json::Value::Array(self.cells).to_string()
    }
}

/// One answered row, whichever engine answered.
#[derive(Debug)]
pub(crate) struct Row {
    pub(super) names: std::sync::Arc<[String]>,
    pub(super) cells: Vec<Cell>,
}

/// One answered value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Row {
    fn cell(&self, column: &'static str) -> Result<&Cell, StoreError> {
        self.names
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.cells.get(index))
            .ok_or_else(|| StoreError::corrupt(column, "the column is missing"))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.text_opt(column)?
            .ok_or_else(|| StoreError::corrupt(column, "is NULL"))
    }

    pub(crate) fn text_opt(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text.clone())),
            Cell::Int(_) | Cell::Bytes(_) => Err(StoreError::corrupt(column, "is not text")),
        }
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        self.int_opt(column)?
            .ok_or_else(|| StoreError::corrupt(column, "is NULL"))
    }

    pub(crate) fn int_opt(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Int(number) => Ok(Some(*number)),
            Cell::Text(_) | Cell::Bytes(_) => Err(StoreError::corrupt(column, "is not a number")),
        }
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_nanos)
    }

    pub(crate) fn time_opt(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.int_opt(column)?.map(Timestamp::from_nanos))
    }

    pub(crate) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        self.bytes_opt(column)?
            .ok_or_else(|| StoreError::corrupt(column, "is NULL"))
    }

    pub(crate) fn bytes_opt(&self, column: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Bytes(bytes) => Ok(Some(bytes.clone())),
            Cell::Int(_) | Cell::Text(_) => Err(StoreError::corrupt(column, "is not bytes")),
        }
    }

    /// A text column read by the domain type's own parser.
    pub(crate) fn parsed<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        self.text(column)?
            .parse()
            .map_err(|e: T::Err| StoreError::corrupt(column, &e.to_string()))
    }

    /// As [`parsed`](Self::parsed), for a column that may be absent.
    pub(crate) fn parsed_opt<T>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        self.text_opt(column)?
            .map(|text| text.parse())
            .transpose()
            .map_err(|e: T::Err| StoreError::corrupt(column, &e.to_string()))
    }

    /// A document column.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(column)?)
            .map_err(|e| StoreError::corrupt(column, &e.to_string()))
    }
}

/// Held as long as a process serves the built-in queue of a store.
pub struct Claim {
    /// What keeps it. Never looked into; the lock makes it shareable.
    _keeper: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Claim {
    pub(super) fn new(keeper: Option<Box<dyn Any + Send>>) -> Self {
        Self {
            _keeper: Mutex::new(keeper),
        }
    }
}

/// An engine.
#[async_trait]
pub(crate) trait Driver: Send + Sync + 'static {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn Session>, StoreError>;
    /// Begins a transaction that only reads, one consistent picture.
    async fn read(&self) -> Result<Box<dyn Session>, StoreError>;
    /// Brings the schema up to date.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Whether the schema is up to date.
    async fn is_current(&self) -> Result<bool, StoreError>;
    /// Claims the built-in queue for this process, as long as the claim lives; `None` if another
    /// process has it.
    async fn claim_queue(&self) -> Result<Option<Claim>, StoreError>;
    /// Whether transactions that write run beside each other, so that they need locks. An engine
    /// with one writer at a time is asked for none.
    fn has_many_writers(&self) -> bool;
    /// Ends all connections.
    async fn close(&self);
}

/// A transaction. Dropping it undoes everything.
#[async_trait]
pub(crate) trait Session: Send {
    /// Runs a statement and reads all rows of its answer. `{rows}` in the text stands for the
    /// one [`Batch`] among the binds, if there is one.
    async fn fetch(&mut self, sql: &str, binds: Vec<Value>) -> Result<Vec<Row>, StoreError>;
    /// Runs a statement; the number of rows that it changed.
    async fn execute(&mut self, sql: &str, binds: Vec<Value>) -> Result<u64, StoreError>;
    /// Waits for a lock, held until the transaction ends: alone, or beside others who share it.
    async fn lock_gate(&mut self, gate: i64, alone: bool) -> Result<(), StoreError>;
    /// Takes locks, held until the transaction ends, waiting for each in the given order.
    async fn lock_in_order(&mut self, keys: &[i64]) -> Result<(), StoreError>;
    /// Takes locks without ever waiting; whether all of them were free.
    async fn lock_if_free(&mut self, keys: &[i64]) -> Result<bool, StoreError>;
    /// Makes everything of this transaction durable.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}
