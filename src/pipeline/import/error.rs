//! Why an import stopped.

use super::line::Fault;
use super::table::TableError;
use crate::domain::customer::act::ActError;
use crate::store::StoreError;

/// Why an import stopped. What it did before stays; run again, it goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The store changed since the file was checked, and a line does not fit any more.
    #[error("{0}")]
    Line(Fault),
    /// A customer that a line names takes no changes.
    #[error("a customer cannot be changed")]
    Act(#[from] ActError),
    /// A token of another app is opened by the text of one in the file, since it was checked.
    #[error("a token of the file was given to somebody else since the file was checked")]
    TokenTaken,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// There was no randomness.
    #[error("no id could be made")]
    Random(#[from] crate::random::RandomError),
}
