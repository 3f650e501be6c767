//! The use cases: what Tollgate does with a webhook, an order of an admin, a due time.
//!
//! [`ingest`] hands a verified webhook over to the queue. [`process`] reads facts from a batch of
//! messages, applies them to the stored state, and commits the batch with its outcomes. [`spool`]
//! keeps what the queue did not take, and [`relay`] publishes it later. [`record`] moves dead
//! letters into the ledger, [`replay`] publishes an event of the ledger again and [`bulk_replay`]
//! many, [`timers`] acts on due times. They use the store and the queue, and know nothing of HTTP.

mod admission;
mod batch;
pub mod bulk_replay;
pub mod customers;
pub mod explain;
pub mod flags;
pub mod ingest;
pub mod licenses;
pub mod order;
pub mod plans;
pub mod policy;
pub mod process;
pub mod record;
pub mod relay;
pub mod replay;
pub mod spool;
pub mod timers;
pub mod tokens;
