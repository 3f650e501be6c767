//! One test for each trap that others fell into who receive billing webhooks, named after it.
//!
//! Where the trap lies in a part that has tests of its own, the test named here runs the one
//! that would find it. The numbers 18, 19 and 20 are about fetching from the provider, which
//! this program does not do.

mod access;
mod delivery;
mod meaning;
mod order;
mod receipt;
