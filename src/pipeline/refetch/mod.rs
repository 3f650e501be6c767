//! Asking providers about objects that events left something open about.
//!
//! The transaction that finds the need also writes it down, so that a restart forgets none. Needs of
//! one object are one row and one question. A worker takes its turn for an app and a provider by a
//! lease on the key, asks outside of any transaction, and processes the answer like an event: it gets a
//! row in the ledger with an outcome. The transaction that records the answer removes the question,
//! unless there was another need meanwhile.
//!
//! An answer is one more fact, stamped with the provider's clock at the time it was asked, so a slow
//! answer never hides what is newer, whoever writes it last.

mod message;
mod step;

pub use step::{Asked, Step, step};

use crate::domain::id::AppSlug;
use crate::store::{Listed, Store, StoreError, WaitingRefetch, Window};

/// Lists the questions of an app, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    window: &Window,
) -> Result<Listed<WaitingRefetch>, StoreError> {
    store.read().await?.refetch_list(app, window).await
}
