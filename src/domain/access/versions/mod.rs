//! How the versions of a package are read: by Composer's rules, or by those of Semantic Versioning
//! as Cargo has them.
//!
//! A package is Composer's unless its app declares it otherwise, so the [`Scheme`] is a setting, and
//! whoever decides about versions asks the scheme of the package to read them. Beyond this folder
//! nobody needs to know which one it is: [`Version`] and [`Constraint`] are compared and matched the
//! same way.
//!
//! The SemVer side is the `semver` crate: [`VersionReq`](::semver::VersionReq) decides what a
//! constraint allows, pre-releases included, and versions have the precedence of SemVer 2.0. Build
//! metadata is read and then forgotten, so `1.0.0+linux` and `1.0.0` are one version, as they are to
//! npm and crates.io.
//!
//! Refused: npm's own ranges (`||`, blanks for "and", `1.0 - 2.0`, a bare version as exactly that
//! version). The crate reads a bare `1.2.3` as `^1.2.3`, so one text would have two meanings.

mod error;
mod semver;

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::access::constraint;
use crate::domain::validate;
use crate::domain::words::words;

use semver::Requirement;

pub use error::{ConstraintError, VersionError};

/// How the versions of a package are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Composer's versions and constraints.
    #[default]
    Composer,
    /// SemVer 2.0 and Cargo's requirements: for npm, Cargo, and plain downloads.
    Semver,
}

words!(Scheme, or SchemeError {
    Composer = "composer",
    Semver = "semver",
});

/// A word that names no [`Scheme`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `composer` or `semver`")]
pub struct SchemeError;

impl Scheme {
    /// Reads a constraint.
    ///
    /// # Errors
    /// When it is none in this scheme.
    pub fn constraint(self, text: &str) -> Result<Constraint, ConstraintError> {
        match self {
            Self::Composer => Ok(Constraint::Composer(constraint::Constraint::parse(text)?)),
            Self::Semver => Ok(Constraint::Semver(Requirement::parse(text)?)),
        }
    }

    /// Reads a version.
    ///
    /// # Errors
    /// When it is none in this scheme.
    pub fn version(self, text: &str) -> Result<Version, VersionError> {
        match self {
            Self::Composer => Ok(Version::Composer(constraint::Version::parse(text)?)),
            Self::Semver => Ok(Version::Semver(semver::version(text)?)),
        }
    }

    /// Checks the name of a package that an order or a setting names.
    ///
    /// # Errors
    /// When it is none in this scheme, with the end of a sentence about it, which says if a
    /// declaration would help.
    pub fn package(self, name: &str) -> Result<String, String> {
        self.package_name(name).map_err(|wrong| {
            let is_others = self == Self::Composer && validate::any_package(name).is_ok();
            let hint = ", or be declared with `versions: semver`";
            format!("{wrong}{}", if is_others { hint } else { "" })
        })
    }

    /// Checks the name of a package that is about to be declared: `vendor/name` in Composer's scheme,
    /// otherwise also `name` and `@scope/name`.
    ///
    /// # Errors
    /// When it is no such name, with the end of a sentence about it.
    pub fn package_name(self, name: &str) -> Result<String, String> {
        match self {
            Self::Composer => validate::package(name),
            Self::Semver => validate::any_package(name),
        }
    }
}

/// The schemes of packages. Those that are not named are Composer's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schemes(BTreeMap<String, Scheme>);

impl Schemes {
    /// Returns the scheme of a package.
    pub fn of(&self, package: &str) -> Scheme {
        self.0.get(package).copied().unwrap_or_default()
    }
}

impl FromIterator<(String, Scheme)> for Schemes {
    fn from_iter<I: IntoIterator<Item = (String, Scheme)>>(schemes: I) -> Self {
        Self(schemes.into_iter().collect())
    }
}

/// A constraint in one of the schemes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Composer's.
    Composer(constraint::Constraint),
    /// Cargo's.
    Semver(Requirement),
}

impl Constraint {
    /// Reports whether a version satisfies it. One of another scheme never does.
    pub fn allows(&self, version: &Version) -> bool {
        match (self, version) {
            (Self::Composer(constraint), Version::Composer(version)) => constraint.allows(version),
            (Self::Semver(requirement), Version::Semver(version)) => requirement.allows(version),
            (Self::Composer(_), Version::Semver(_)) | (Self::Semver(_), Version::Composer(_)) => {
                false
            }
        }
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Composer(constraint) => constraint.as_str(),
            Self::Semver(requirement) => requirement.as_str(),
        }
    }

    /// Returns the meaning for people: Composer's bounds written out, or the operators that Cargo
    /// understands (`^1.2.3` for `1.2.3`).
    pub fn meaning(&self) -> String {
        match self {
            Self::Composer(constraint) => constraint.meaning(),
            Self::Semver(requirement) => requirement.meaning(),
        }
    }
}

/// A version in one of the schemes. Equality and order are those of its scheme, by value and not by
/// spelling; the versions of one package always have the same scheme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// Composer's.
    Composer(constraint::Version),
    /// SemVer's, without its build metadata: what is left has the crate's order, which is that of
    /// precedence.
    Semver(::semver::Version),
}

impl Version {
    /// True for branches, and for what else moves on under its name. SemVer has nothing of the kind.
    pub fn is_dev(&self) -> bool {
        match self {
            Self::Composer(version) => version.stability() == constraint::Stability::Dev,
            Self::Semver(_) => false,
        }
    }
}

/// Writes the normalised text, which is the same for all spellings of a version.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Composer(version) => version.fmt(f),
            Self::Semver(version) => version.fmt(f),
        }
    }
}
