//! Which billing accounts are one customer.

pub mod account;
pub mod links;
