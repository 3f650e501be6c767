//! The lanes of a queue.

/// The two lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Messages to be processed.
    Work,
    /// Messages that cannot be processed, on their way into the ledger.
    Failed,
}
