//! Compares what is kept with what a provider says, and repairs what differs.
//!
//! All customers, subscriptions, payments, disputes and refunds are read from the provider's lists, and
//! then its events. What is read becomes the same facts as webhooks, through the same code: an object
//! is an observation, stamped with the provider's clock; an event is the webhook that it is, and one
//! that is known by its id is skipped. So a comparison can run beside live webhooks in any order.
//! Objects that were missing here, or that change something that is shown, leave a row in the ledger.
//! What nobody lists any more is counted and named, and never removed.
//!
//! On an empty store this is the first import.
//!
//! A comparison is a row that says how far it is. Any worker carries it on, a page at a time
//! (`turn.rs`); the page's facts and the next place are one transaction. Lists are read again from a
//! while before the last comparison, because what shares its second, or was only settled later, could
//! be missed otherwise. One that failed is no such beginning.

mod apply;
mod error;
mod features;
mod gone;
mod orders;
mod same;
mod schedule;
mod step;
mod turn;

pub use error::ReconcileError;
pub use orders::{Wanted, cancel, find, find_open, list, order};
pub use schedule::order_due;
pub use turn::{Turn, carry_on};
