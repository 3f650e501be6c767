//! Access: plans, releases, version constraints, tokens, licences, and the check that combines
//! them.

pub mod check;
pub mod constraint;
pub mod license;
pub mod plan;
pub mod release;
pub mod token;
