//! Limits of the texts that are read.

/// The longest text that is parsed as a version or a constraint, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// The maximum number of alternatives in a constraint.
pub const MAX_ALTERNATIVES: usize = 1024;

/// The maximum number of bounds in a constraint, in all its alternatives together: two for each, as
/// `^1.0` has.
pub const MAX_BOUNDS: usize = 2 * MAX_ALTERNATIVES;
