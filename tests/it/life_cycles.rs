//! Whole lives of customers, told by payloads: what is shown on the way, and that no order, no
//! reversal and no duplication makes another end.
//!
//! Stripe's lives are told in the shapes of two API versions, which must not differ.

mod paddle;
pub(crate) mod rig;
mod stripe;
