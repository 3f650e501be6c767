//! All tests that need more than one function: one binary, a module per subject.

mod config;
mod constraint;
mod queue;
mod support;
