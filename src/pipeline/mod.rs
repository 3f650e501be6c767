//! The use cases: everything that Tollgate does, whoever asks for it.
//!
//! A webhook's path: [`ingest`] hands a verified webhook over to the queue. [`process`] reads facts
//! from a batch of messages, applies them to the stored state, and commits the batch with its
//! outcomes. [`spool`] keeps what the queue did not take, and [`relay`] publishes it later.
//! [`record`] moves dead letters into the ledger, [`replay`] publishes an event of the ledger again
//! and [`bulk_replay`] many, [`timers`] acts on due times, [`retention`] removes old payloads,
//! [`erasure`] what is kept of customers who were deleted.
//!
//! The requests of admins, customers and registries: a file for each noun, such as [`customers`],
//! [`grants`] and [`access`]. An act takes the store and an [`Order`](order::Order), is one
//! transaction, and returns what its answer shows as that transaction left it. A query takes the
//! store and reads one consistent picture. The HTTP API, its dialects and the commands call the
//! same functions.
//!
//! They use the store and the queue, and know nothing of HTTP.

pub mod access;
pub mod access_checks;
pub mod acknowledged;
pub mod admin_tokens;
mod admission;
pub mod announce;
pub mod api_keys;
pub mod apis;
pub mod app_deletion;
pub mod apps;
pub mod audit;
mod batch;
pub mod bulk_replay;
pub mod composer;
pub mod customers;
pub mod dismissal;
pub mod erasure;
mod event_owner;
pub mod events;
pub mod explain;
pub mod export;
pub mod figures;
pub mod flags;
mod forgotten;
pub mod grants;
pub mod health;
pub mod history;
pub mod hooks;
pub mod idempotency;
pub mod import;
pub mod incoming;
pub mod ingest;
pub mod latency;
pub mod licenses;
pub mod measured;
pub mod note;
mod observation;
mod oldest_webhook;
pub mod order;
pub(crate) mod outcome_line;
pub mod owed_licenses;
pub mod package_texts;
pub mod packages;
pub mod pauses;
pub mod payments;
mod pins;
pub mod plans;
pub mod policy;
pub mod portal;
pub mod process;
pub mod reconcile;
pub mod record;
pub mod refetch;
pub mod registries;
pub mod relay;
mod released;
pub mod releases;
pub mod replay;
pub mod reseal;
mod reseal_error;
mod reseal_few;
pub mod retention;
pub mod search;
pub mod secrets;
pub mod sessions;
mod settings_plans;
pub mod setup;
pub mod silence;
pub mod spool;
pub mod stats;
pub mod subscriptions;
pub mod timeline;
pub mod timeline_part;
pub mod timers;
pub mod tokens;
pub mod usage;
mod waiting;
