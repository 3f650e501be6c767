//! Limits of the texts that are read.

/// The longest text that is read as a version or as a constraint, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// The most alternatives that a constraint may have.
pub const MAX_ALTERNATIVES: usize = 1024;
