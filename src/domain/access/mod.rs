//! What a customer may have: plans, releases, constraints, tokens, licences, the check.

pub mod check;
pub mod constraint;
pub mod license;
pub mod plan;
pub mod release;
pub mod token;
