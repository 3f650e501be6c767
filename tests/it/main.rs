//! All tests that need more than one function: one binary, a module per subject.

mod config;
mod constraint;
mod payload;
mod queue;
mod signature;
mod support;
