//! The last writes of this process, as far as its own work shows them.
//!
//! That the store takes writes is known best from writes: while they succeed nothing has to be tried,
//! and one that failed says more than any answer to a question. Only commits of transactions that
//! changed rows count, because an empty one succeeds on a full disk too.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::error::{StoreError, Trouble};

/// When this process last wrote, and when it last failed to.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastWrites {
    /// The end of the last commit of something.
    pub succeeded: Option<Instant>,
    /// The last failure of a transaction that was to write.
    pub failed: Option<(Instant, Trouble)>,
}

impl LastWrites {
    /// Returns the last failure, if nothing was written since.
    pub fn unrefuted_failure(&self) -> Option<Trouble> {
        let (at, trouble) = self.failed?;
        let refuted = self.succeeded.is_some_and(|written| written > at);
        (!refuted).then_some(trouble)
    }
}

/// The record, shared by all handles and transactions of a store.
#[derive(Debug, Default)]
pub(super) struct WriteRecord(Mutex<LastWrites>);

impl WriteRecord {
    pub(super) fn last(&self) -> LastWrites {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn succeeded(&self) {
        self.change(|last| last.succeeded = Some(Instant::now()));
    }

    pub(super) fn failed(&self, trouble: Trouble) {
        self.change(|last| last.failed = Some((Instant::now(), trouble)));
    }

    /// Notes a failure, if it is one of the database. Hands the result on.
    pub(super) fn noting<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result
            && let Some(trouble) = error.trouble()
        {
            self.failed(trouble);
        }
        result
    }

    fn change(&self, change: impl FnOnce(&mut LastWrites)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
