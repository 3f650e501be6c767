//! What billing and access mean: plain values and pure functions.
//!
//! Nothing here does I/O, waits or asks a clock; time is an argument. That is what allows the
//! proof that any order and any duplication of events ends in the same state.

pub mod access;
pub mod act;
pub mod apply;
pub mod change;
pub mod constraint;
pub mod customer;
pub mod derive;
pub mod event;
pub mod explain;
pub mod fact;
pub mod flag;
pub mod id;
pub mod identity;
pub mod kept;
pub mod license;
pub mod look;
pub mod mode;
pub mod plan;
pub mod policy;
pub mod profile;
pub mod reach;
pub mod reference;
pub mod release;
pub mod retry;
pub mod role;
pub mod standing;
pub mod tie;
pub mod time;
pub mod token;
pub mod validate;
pub mod world;
