//! Where the pages are, and which version of them.

/// The path of all pages.
pub(super) const PLACE: &str = "/portal";

/// The version in the address of the style sheet.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
