//! Applying events and acts to a working set.

mod assess;
pub mod change;
pub mod counting;
pub mod doubts;
pub mod event;
mod join;
pub mod lookup_keys;
mod other_body;
pub mod owed_licenses;
pub mod payments;
mod rederive;
pub mod working_set;
