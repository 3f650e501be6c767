//! Billing: facts, the histories that they are merged into, payments, and the assessment of a
//! subscription.

pub mod assessment;
pub mod coverage;
pub mod fact;
pub mod history;
pub mod newest;
pub mod payment;
pub mod standing;
pub mod tie_break;
pub mod trace;
