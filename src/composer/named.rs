//! Names of versions.

use crate::domain::access::constraint::Stability;
use crate::domain::access::versions::{Scheme, Version};

/// The name of a version.
#[derive(Debug)]
pub struct Named {
    /// As it is written.
    pub text: String,
    /// What Composer makes of it; `None` if it is no version.
    pub parsed: Option<Version>,
}

impl Named {
    /// Reads the name of a version.
    pub fn new(text: String) -> Self {
        Self {
            parsed: Scheme::Composer.version(&text).ok(),
            text,
        }
    }

    /// True for branches, and for what else moves on under its name.
    pub fn is_dev(&self) -> bool {
        self.parsed.as_ref().map_or_else(
            || Stability::of_text(&self.text) == Stability::Dev,
            Version::is_dev,
        )
    }
}
