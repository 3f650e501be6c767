//! Identity: which billing accounts belong to one customer.

pub mod account;
pub mod links;
pub mod test_trace;
