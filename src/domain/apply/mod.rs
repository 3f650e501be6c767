//! Applying events and acts to a working set.

pub mod change;
pub mod event;
mod join;
pub mod lookup_keys;
mod rederive;
pub mod working_set;
