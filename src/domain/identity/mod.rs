//! Identity: which billing accounts belong to one customer.

pub mod account;
pub mod links;
