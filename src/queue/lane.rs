//! The lanes of a queue.

/// The two lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Messages to be processed.
    Work,
    /// Messages that cannot be processed, on their way into the ledger.
    Failed,
}

impl Lane {
    /// Its name in the store, and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Failed => "failed",
        }
    }
}
