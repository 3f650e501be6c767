//! What billing and access mean: plain values and pure functions.
//!
//! Nothing here does I/O, waits or asks a clock; time is an argument. That is what allows the
//! proof that any order and any duplication of events ends in the same state.

pub mod fact;
pub mod id;
pub mod time;
