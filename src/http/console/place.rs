//! Where the console is, and which version of it.

/// The path of all pages.
pub(in crate::http) const PLACE: &str = "/console";

/// The version in the addresses of the files.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
