//! Releases: versions of packages and the times at which they came out.

use crate::domain::access::constraint::{Version, VersionError};
use crate::domain::time::Timestamp;

/// A released version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// `vendor/name`.
    pub package: String,
    /// The version as it was written.
    pub version: String,
    /// The version as Composer normalises it: one key for all spellings.
    pub normalized: String,
    /// The time of the release.
    pub released_at: Timestamp,
}

impl Release {
    /// Creates the release of a version in any spelling.
    ///
    /// # Errors
    /// When the text is not a version.
    pub fn new(package: &str, version: &str, released_at: Timestamp) -> Result<Self, VersionError> {
        let normalized = Version::parse(version)?.as_str().to_owned();
        Ok(Self {
            package: package.to_owned(),
            version: version.trim().to_owned(),
            normalized,
            released_at,
        })
    }
}
