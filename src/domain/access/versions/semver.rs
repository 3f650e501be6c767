//! SemVer by the `semver` crate.

use ::semver::{BuildMetadata, Version, VersionReq};

use super::error::{SemverError, SemverProblem};
use crate::domain::access::constraint::MAX_BYTES;

/// A requirement of the crate, as written and as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    text: Box<str>,
    parsed: VersionReq,
}

impl Requirement {
    /// Parses a requirement such as `^1.2` or `>=1.2, <1.9`.
    ///
    /// # Errors
    /// When the crate cannot read it.
    pub fn parse(text: &str) -> Result<Self, SemverError> {
        check(text, SemverProblem::EmptyConstraint)?;
        let parsed = VersionReq::parse(text).map_err(|error| {
            let problem = if text.contains('|') {
                SemverProblem::Alternatives
            } else {
                SemverProblem::Constraint(error.to_string())
            };
            SemverError::new(problem, text)
        })?;
        Ok(Self {
            text: text.into(),
            parsed,
        })
    }

    /// Reports whether a version satisfies it. A pre-release does only if a bound names a pre-release
    /// of the same three numbers.
    pub fn allows(&self, version: &Version) -> bool {
        self.parsed.matches(version)
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns it with all operators, as the crate writes it.
    pub fn meaning(&self) -> String {
        self.parsed.to_string()
    }
}

/// Parses a version, and drops its build metadata.
pub(super) fn version(text: &str) -> Result<Version, SemverError> {
    check(text, SemverProblem::EmptyVersion)?;
    let parsed = Version::parse(text).map_err(|error| {
        let numbers = text.strip_prefix(['v', 'V']);
        let problem = if numbers.is_some_and(|numbers| Version::parse(numbers).is_ok()) {
            SemverProblem::Prefixed
        } else {
            SemverProblem::Version(error.to_string())
        };
        SemverError::new(problem, text)
    })?;
    Ok(Version {
        build: BuildMetadata::EMPTY,
        ..parsed
    })
}

fn check(text: &str, empty: SemverProblem) -> Result<(), SemverError> {
    if text.len() > MAX_BYTES {
        return Err(SemverError::new(SemverProblem::TooLong, text));
    }
    if text.trim().is_empty() {
        return Err(SemverError::new(empty, ""));
    }
    Ok(())
}
