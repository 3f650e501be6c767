//! Access: plans, releases, version constraints, tokens, licences, and the check that combines
//! them.

pub mod activation;
pub mod anything;
pub mod check;
pub mod constraint;
pub mod extent;
pub mod hand_grant;
pub mod license;
pub mod license_key;
pub mod live_grant;
pub mod notice;
pub mod plan;
pub mod refusal;
pub mod release;
pub mod released;
pub mod token;
pub mod versions;
