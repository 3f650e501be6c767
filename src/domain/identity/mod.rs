//! Identity: which billing accounts belong to one customer.

pub mod account;
pub mod addresses;
pub mod group;
pub(crate) mod link;
pub mod links;
pub mod register;
pub mod seller_id;
pub mod test_trace;
