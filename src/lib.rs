//! Tollgate keeps each customer's access in step with what they have paid for.

pub mod domain;
pub mod store;
