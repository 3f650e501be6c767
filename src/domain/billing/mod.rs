//! Billing: facts, the histories that they are merged into, payments, and the assessment of a
//! subscription.

pub mod assessment;
pub mod coverage;
pub mod fact;
pub mod feature;
pub mod history;
mod included;
mod leaves;
pub mod newest;
pub mod payment;
mod running;
pub mod standing;
pub mod subscription_view;
pub mod tie_break;
pub mod trace;
