//! The reasons why a version or a constraint is refused, in either scheme.

use std::fmt;

use crate::domain::access::constraint::{self, MAX_BYTES};

/// The classes of mistakes in a text of SemVer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SemverProblem {
    /// A constraint of nothing, or of blanks.
    #[error("the constraint is empty; write `*` to allow every version but pre-releases")]
    EmptyConstraint,
    /// A version of nothing, or of blanks.
    #[error("the version is empty")]
    EmptyVersion,
    /// More than [`MAX_BYTES`].
    #[error("the text is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// `^1.0 || ^2.0`.
    #[error("a SemVer constraint has no alternatives (`||`); write one range, such as `>=1, <3`")]
    Alternatives,
    /// `v1.2.3`.
    #[error("a SemVer version has no `v` before it")]
    Prefixed,
    /// Any other mistake in a constraint, in the words of the crate.
    #[error("not a SemVer constraint, such as `^1.2` or `>=1.2, <1.9` ({0})")]
    Constraint(String),
    /// Any other mistake in a version, in the words of the crate.
    #[error("not a SemVer version, such as `1.2.3` or `1.2.3-beta.1` ({0})")]
    Version(String),
}

impl SemverProblem {
    /// Returns the code of the class, which never changes.
    const fn code(&self) -> &'static str {
        match self {
            Self::EmptyConstraint | Self::EmptyVersion => "empty",
            Self::TooLong => "too_long",
            Self::Alternatives => "semver_alternatives",
            Self::Prefixed => "semver_prefix",
            Self::Constraint(_) => "bad_requirement",
            Self::Version(_) => "bad_version",
        }
    }
}

/// A text that SemVer does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SemverError {
    problem: SemverProblem,
    text: Box<str>,
}

impl SemverError {
    pub(super) fn new(problem: SemverProblem, text: &str) -> Self {
        Self {
            problem,
            text: constraint::excerpt(text),
        }
    }
}

impl fmt::Display for SemverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        constraint::show(f, &self.problem, &self.text)
    }
}

impl std::error::Error for SemverError {}

/// A text that is no constraint in the scheme of its package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// In Composer's.
    #[error(transparent)]
    Composer(#[from] constraint::ConstraintError),
    /// In SemVer's.
    #[error(transparent)]
    Semver(#[from] SemverError),
}

impl ConstraintError {
    /// Returns the code of the class, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Composer(error) => error.code(),
            Self::Semver(error) => error.problem.code(),
        }
    }
}

/// A text that is no version in the scheme of its package.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// In Composer's.
    #[error(transparent)]
    Composer(#[from] constraint::VersionError),
    /// In SemVer's.
    #[error(transparent)]
    Semver(#[from] SemverError),
}

impl VersionError {
    /// Returns the code of the class, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Composer(error) => error.code(),
            Self::Semver(error) => error.problem.code(),
        }
    }
}
