//! All tests that need more than one function: one binary, a module per subject.

mod architecture;
mod config;
mod constraint;
mod crash;
mod outcomes;
mod payload;
mod process;
mod queue;
mod signature;
mod support;
