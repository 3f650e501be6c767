//! Reasons to stop in the middle of a batch.

/// The reason why a batch was not processed, for which no message is to blame.
pub(super) enum Stop {
    /// The process is shutting down.
    Shutdown,
    /// The store did not answer for longer than the worker waits.
    StoreAway,
}
