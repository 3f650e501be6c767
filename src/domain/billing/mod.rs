//! Billing: facts, the histories that they are merged into, and the assessment of a subscription.

pub mod assessment;
pub mod fact;
pub mod history;
pub mod newest;
pub mod payment_link;
pub mod tie_break;
