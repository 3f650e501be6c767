//! Releases: versions of packages and the times at which they came out.

use crate::domain::access::constraint::trim;
use crate::domain::access::versions::{Scheme, VersionError};
use crate::domain::time::Timestamp;
use crate::domain::validate::MAX_TEXT;

/// A released version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its package.
    pub package: String,
    /// The version as it was written.
    pub version: String,
    /// The version as the scheme of its package normalises it: one key for all spellings.
    pub normalized: String,
    /// The time of the release.
    pub released_at: Timestamp,
    /// What its archive is made of, as Composer has it: a commit, mostly. `None` if nobody said.
    pub reference: Option<String>,
}

impl Release {
    /// Creates the release of a version in any spelling.
    ///
    /// # Errors
    /// When the text is not a version in the scheme of its package.
    pub fn new(
        scheme: Scheme,
        package: &str,
        version: &str,
        released_at: Timestamp,
    ) -> Result<Self, VersionError> {
        let normalized = scheme.version(version)?.to_string();
        Ok(Self {
            package: package.to_owned(),
            // What the reader of versions trims, and nothing else: `dev-1.` may end in a wide blank.
            version: trim(version).to_owned(),
            normalized,
            released_at,
            reference: None,
        })
    }

    /// The same release, of an archive with this reference.
    #[must_use]
    pub fn with_reference(self, reference: Option<String>) -> Self {
        Self { reference, ..self }
    }
}

/// Checks what an archive is said to be made of: 1 to [`MAX_TEXT`] printable characters of ASCII.
///
/// # Errors
/// When it is something else, with the end of a sentence about it.
pub fn reference(text: &str) -> Result<&str, String> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && text.len() <= MAX_TEXT {
        Ok(text)
    } else {
        let message = format!("must be 1 to {MAX_TEXT} printable ASCII characters, without blanks");
        Err(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_short_word() {
        for text in ["5d41402abc4b2a76b9719d911017c592ae1f3c25", "v1.0/a", "r=1"] {
            assert_eq!(reference(text), Ok(text));
        }
        let long = "a".repeat(MAX_TEXT + 1);
        for text in ["", "a b", "a\0", "\u{fc}", &long] {
            assert!(reference(text).is_err(), "{text:?}");
        }
    }
}
