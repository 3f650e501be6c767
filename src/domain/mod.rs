//! What billing and access mean: plain values and pure functions.
//!
//! Nothing here does I/O, waits or asks a clock; time is an argument. That is what allows the
//! proof that any order and any duplication of events ends in the same state.

pub mod access;
pub mod apply;
pub mod billing;
pub mod customer;
pub mod email;
pub mod event;
pub mod id;
pub mod identity;
pub mod mode;
pub mod policy;
pub mod retry;
pub mod role;
pub mod time;
pub mod validate;
pub(crate) mod words;
