//! Transactions, and how statements are run in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::FromCell;
use super::driver::{Row, Session, Value};
use super::error::StoreError;
use super::held::Held;
use super::license_maker::LicenseMaker;
use super::record::{Binds, FromRow, Reader};
use super::reservation::Reservation;
use super::writes::WriteRecord;

/// A transaction: the only way to the rows. Dropping it undoes everything.
pub struct Tx {
    pub(super) session: Box<dyn Session>,
    /// The locks that it has; `None` where the engine needs none.
    pub(super) held: Option<Held>,
    /// The request with an `Idempotency-Key` that it changes something for.
    pub(super) reservation: Option<Reservation>,
    pub(super) statements: Arc<AtomicU64>,
    /// The count of transactions that changed something.
    pub(super) changes: Arc<AtomicU64>,
    /// The record of writes; `None` for one that only reads.
    pub(super) record: Option<Arc<WriteRecord>>,
    /// Makes licences that are owed.
    pub(super) licenses: Option<Arc<dyn LicenseMaker>>,
    /// True if there is a broker that is told of changes.
    pub(super) announces: bool,
    /// True if it changed any row.
    pub(super) changed: bool,
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
        let committed = self.session.commit().await;
        if self.changed {
            // Counted if it failed, too: the answer may have been lost behind a commit.
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        let Some(record) = self.record else {
            return committed;
        };
        if committed.is_ok() && self.changed {
            record.succeeded();
        }
        record.noting(committed)
    }

    /// Runs a statement and reads the rows of its answer.
    pub(super) async fn fetch<R: FromRow>(
        &mut self,
        sql: &str,
        binds: Binds,
    ) -> Result<Vec<R>, StoreError> {
        let rows = self.answer(sql, binds?).await?;
        rows.iter()
            .map(|row| R::from_row(&mut Reader::new(row)))
            .collect()
    }

    /// As [`fetch`](Self::fetch), for a statement that finds one row at most.
    pub(super) async fn fetch_opt<R: FromRow>(
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
    pub(super) async fn fetch_value<T: FromCell>(
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
    pub(super) async fn fetch_values<T: FromCell, C: FromIterator<T>>(
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
        let answer = self.session.fetch(sql, binds).await;
        self.noting(answer)
    }

    /// Runs a statement; the number of rows that it changed.
    pub(super) async fn execute(&mut self, sql: &str, binds: Binds) -> Result<u64, StoreError> {
        let binds = binds?;
        if is_idle(&binds) {
            return Ok(0);
        }
        self.statements.fetch_add(1, Ordering::Relaxed);
        let done = self.session.execute(sql, binds).await;
        self.changed |= done.as_ref().is_ok_and(|rows| *rows > 0);
        self.noting(done)
    }

    /// Lets the server know that somebody still works on the transaction, and other tasks run. No statement that
    /// counts: how many a batch has says nothing of how long it takes.
    pub(crate) async fn stay_awake(&mut self) -> Result<(), StoreError> {
        let done = self.session.execute("SELECT 1", Vec::new()).await;
        self.noting(done)?;
        Ok(())
    }

    fn noting<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        match &self.record {
            Some(record) => record.noting(result),
            None => result,
        }
    }
}

/// Returns true if a statement is over an empty set, so that it would find or change nothing.
pub(super) fn is_idle(binds: &[Value]) -> bool {
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
