//! All tests that need more than one function: one binary, a module per subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test did not expect ends it; the lint only knows test functions, not their helpers"
)]

mod access_restart;
mod admin_api;
mod architecture;
mod backup;
mod bad_input;
mod batches;
mod bounds;
mod cli;
mod cli_help;
mod cli_json;
mod cli_lists;
mod commit;
mod compose_setup;
mod composer;
mod concurrency;
mod config;
mod console;
mod constraint;
mod convergence;
mod copy;
mod crash;
mod deploy;
mod docs;
mod domain_acts;
mod domain_effects;
mod domain_explain;
#[expect(dead_code, reason = "the bench uses the rest")]
#[path = "../../benches/faults/rig/mod.rs"]
mod fault_rig;
mod faults;
mod first_run;
mod flow;
mod fuzz;
mod generated_client;
mod habits;
mod health;
mod import;
mod invented_provider;
mod ipv6;
mod keys;
mod life_cycles;
mod limits;
mod logs;
mod metrics;
mod openapi;
mod other_body;
mod outcomes;
mod pauses;
mod payload;
mod plans;
mod pooler;
mod postgres;
mod process;
mod queue;
mod rabbitmq;
mod readme;
mod receiver;
mod reconcile;
mod refetch;
mod registry;
mod seeds;
mod semver;
mod setup_mistakes;
mod signature;
mod simulate;
#[cfg(feature = "otel")]
mod spans;
mod standard_webhooks;
mod statements;
mod store;
mod support;
mod timers;
mod tls_front;
mod traps;
mod upgrade;
