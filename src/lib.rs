//! Tollgate keeps each customer's access in step with what they have paid for.
//!
//! # One webhook, from arrival to row
//!
//! 1. [`http`] reads at most a megabyte. `http/webhook.rs` finds the endpoint's secrets, has
//!    [`provider::Spec::verify`] check the signature over the raw bytes, and
//!    [`provider::Spec::head`] find the event's id and type. What comes out is a verified webhook;
//!    nothing else can be handed on.
//! 2. [`pipeline::ingest`] makes a [`queue::Message`] of it, the signed bytes and a few headers,
//!    and publishes it. When the [`queue::Publisher`] returns, the message is on the disk, and
//!    the sender gets its 200. While a broker is away, [`pipeline::spool`] keeps the message in
//!    the store, and [`pipeline::relay`] publishes it later.
//! 3. The [`worker`] takes a batch from a [`queue::Consumer`] and gives it to
//!    [`pipeline::process`]. In one transaction of the [`store`]: the ledger says which events
//!    are new; [`provider::read`] turns each payload into [facts](domain::billing::fact); everything that
//!    these can touch is loaded as a [working set](domain::apply::working_set::WorkingSet).
//! 4. [`domain`] joins the facts to what is kept and derives anew what is shown: status, holds,
//!    grants, flags, due times. The difference of before and after are the operations: create,
//!    suspend, reactivate, freeze, expire, grant, revoke.
//! 5. What changed, the outcome of every event and an audit entry for every operation are
//!    written, and the transaction commits. Only then the worker settles the batch: done, to be
//!    retried after a rest, or a dead letter, which [`pipeline::record`] moves into the ledger.
//!
//! An admin's order goes the same way from step 4 on, through [`pipeline::customers`]; a due time
//! through [`pipeline::timers`]; a replay begins again at step 2, from the ledger.
//!
//! # What may know whom
//!
//! ```text
//! main, cli -> demo, simulate -> server -> http, worker -> pipeline -> provider, store, queue -> domain
//! ```
//!
//! `domain` knows nobody: plain values and pure functions, time as an argument. `queue` knows
//! the store in one place, the built-in queue. sqlx is only in `store`, lapin only in `queue`,
//! axum only in `http`. A test keeps this true, and another that files form no circles.

// Without `test`, whose build is given what only tests use.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

// Only main.rs uses it.
#[cfg(feature = "jemalloc")]
use tikv_jemallocator as _;

mod causes;
pub mod cli;
mod client;
pub mod clock;
pub mod composer;
pub mod config;
mod data_dir;
mod demo;
pub mod domain;
mod host_and_port;
pub mod http;
pub mod metrics;
mod offload;
mod outage;
mod output;
mod pause;
pub mod pipeline;
pub mod provider;
pub mod queue;
pub mod random;
mod request_context;
mod retry_after;
pub mod server;
mod simulate;
pub mod store;
pub mod telemetry;
pub mod tls;
mod trace;
pub mod vault;
pub mod worker;
