//! Tollgate keeps each customer's access in step with what they have paid for.

pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod http;
mod lock;
pub mod pipeline;
pub mod provider;
pub mod queue;
pub mod random;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod worker;
