//! The admin API and the access check, through the real router over a real store.

mod access;
mod audit;
mod audit_walk;
mod catalogue;
mod customer_list;
mod customers;
mod description;
pub(crate) mod events;
mod explain;
mod flags;
mod freeze;
mod holds;
mod idempotency;
mod input;
mod licenses;
mod packages;
mod policy;
mod query;
mod replays;
mod rig;
mod stats;
mod subscriptions;
pub(crate) mod tenants;
mod tokens;
mod usage;
mod walls;
