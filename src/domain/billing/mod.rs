//! What billing said: facts, the histories they join, and how a subscription stands.

pub mod assessment;
pub mod fact;
pub mod history;
pub mod newest;
pub mod payment_link;
pub mod tie_break;
