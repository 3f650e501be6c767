//! Releases: versions of packages and when they came out.

use crate::domain::access::constraint::{Version, VersionError};
use crate::domain::time::Timestamp;

/// A version that came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// `vendor/name`.
    pub package: String,
    /// The version as it was written.
    pub version: String,
    /// The version as Composer normalises it: one key for all spellings.
    pub normalized: String,
    /// When it came out.
    pub released_at: Timestamp,
}

impl Release {
    /// The release of a version in any spelling.
    ///
    /// # Errors
    /// When the text is no version.
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
