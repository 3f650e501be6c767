//! The reservation of a request with an `Idempotency-Key`, and how it reaches the transactions that
//! change something for it; see `store/idempotency.rs`.

tokio::task_local! {
    static RESERVATION: Reservation;
}

/// A reservation, as its holder knows it.
#[derive(Clone, Debug)]
pub struct Reservation {
    pub(super) id: String,
    pub(super) holder: String,
}

/// Does work on behalf of a reserved request: every transaction that it begins and commits marks
/// the reservation as having taken effect.
pub async fn on_behalf_of<F: Future>(reservation: Reservation, work: F) -> F::Output {
    RESERVATION.scope(reservation, work).await
}

/// The reservation of the request that this task works on behalf of.
pub(super) fn current() -> Option<Reservation> {
    RESERVATION.try_with(Clone::clone).ok()
}
