//! Reserving requests that carry an `Idempotency-Key`, and keeping their answers.
//!
//! Every transaction that commits within
//! [`on_behalf_of`](crate::store::idempotency::on_behalf_of) marks its reservation in the same
//! commit; see [`store::idempotency`](crate::store::idempotency).

use crate::domain::time::Timestamp;
use crate::random::{self, RandomError};
use crate::store::idempotency::{Attempt, Reservation};
use crate::store::{Store, StoreError};

/// Why a request could not be reserved.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// No name for the request could be drawn.
    #[error("no name for the request could be made")]
    Random(#[from] RandomError),
}

/// Reserves a request. `id` names who asks and the key, `fingerprint` what is asked.
///
/// # Errors
/// When the store failed, or there is no randomness.
pub async fn reserve(
    store: &Store,
    id: String,
    fingerprint: &str,
    now: Timestamp,
) -> Result<Attempt, ReserveError> {
    let holder = random::uuid(now)?.simple().to_string();
    let mut tx = store.begin().await?;
    let attempt = tx.idempotency_reserve(id, fingerprint, holder, now).await?;
    tx.commit().await?;
    Ok(attempt)
}

/// Keeps the sealed answer of a reserved request. `about` names the customers that it tells of, with
/// whom it goes.
///
/// # Errors
/// When the store failed.
pub async fn keep_answer(
    store: &Store,
    reservation: &Reservation,
    sealed: Vec<u8>,
    about: &str,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.idempotency_answer(reservation, sealed, about).await?;
    tx.commit().await
}

/// Gives back the key of a request that failed.
///
/// # Errors
/// When the store failed; then the key is free again in a minute.
pub async fn release(
    store: &Store,
    reservation: &Reservation,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.idempotency_release(reservation, now).await?;
    tx.commit().await
}
