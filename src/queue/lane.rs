//! The lanes of a queue.

/// The two lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// What is to be processed.
    Work,
    /// What cannot be processed, on its way into the ledger.
    Failed,
}
