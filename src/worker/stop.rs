//! Reasons to stop in the middle of a batch.

/// Why messages could not be worked off. They are not to blame.
pub(super) enum Stop {
    /// The process ends.
    Shutdown,
    /// The store did not answer for longer than a moment.
    StoreAway,
}
