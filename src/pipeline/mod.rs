//! The use cases: what Tollgate does with a webhook, an order of an admin, a due time.
//!
//! [`ingest`] hands a verified webhook over to the queue. [`process`] turns a batch of messages
//! into facts, folds them into what is kept, and commits the batch with its outcomes.
//! [`spool`] keeps what the queue did not take, and [`relay`] publishes it later.
//! [`record`] moves dead letters into the ledger, [`replay`] publishes an event of the ledger
//! again and [`bulk_replay`] many, [`timers`] acts on due times. They know the store and the queue, and nobody's HTTP.

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
