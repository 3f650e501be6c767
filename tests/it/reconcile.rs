//! Comparing what is kept with what the providers say, against providers of our own.

mod command;
mod crash;
mod features;
mod import;
mod lists;
mod property;
mod requests;
pub(crate) mod rig;
mod trouble;
