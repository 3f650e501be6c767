//! One test for each trap that others fell into who receive billing webhooks, named after it.
//!
//! Where the trap lies in a part that has tests of its own, the test named here runs the one
//! that would find it.

mod access;
mod delivery;
mod fetching;
mod meaning;
mod order;
mod receipt;
