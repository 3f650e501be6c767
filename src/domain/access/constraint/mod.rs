//! Composer versions and constraints: which versions a grant such as `^2.0` allows.
//!
//! The rules are those of Composer's PHP library `composer/semver` 3.4.4, described for users at
//! <https://getcomposer.org/doc/articles/versions.md>. A check that differs from the customer's own
//! Composer would sell what cannot be installed, or give away what was not sold, so odd answers of
//! the library are reproduced (`^1.2.3+build` excludes `1.2.3-beta`). Where it silently ignores
//! part of a text, the text is refused instead: commas, blanks and control characters in the wrong
//! places, and numbers of more than 18 digits.
//! A [`Version`] is a list of tokens whose derived order is Composer's order. A
//! [`Constraint`] is an OR of ANDs of [`Bound`]s, parsed once when it is written or
//! loaded; checking only compares.
//!
//! Refused: the `semver` crate's `VersionReq`, which gives the same texts other meanings (`2.0.0`
//! is a whole series there, a pre-release seldom matches, and there is no OR), and serves packages
//! that are declared so instead; regular expressions,
//! whose look-ahead over runs of blanks is quadratic; and merging adjacent ranges, which changes no
//! answer. Parsing takes time linear in the length of the text and never panics.

mod atom;
mod bound;
mod diagnose;
mod error;
mod limits;
mod normalise;
mod order;
mod scan;
mod split;
mod suffix;
#[cfg(test)]
mod tests;
mod version;

use std::fmt;
use std::str::FromStr;

pub use bound::{Bound, Op};
pub use error::{ConstraintError, ConstraintProblem, VersionError, VersionProblem};
pub(in crate::domain::access) use error::{excerpt, show};
pub use limits::{MAX_ALTERNATIVES, MAX_BOUNDS, MAX_BYTES};
pub(in crate::domain::access) use scan::trim;
pub use version::{Stability, Version};

use normalise::Refusal;
use split::Piece;

/// A Composer constraint, as written and as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    text: Box<str>,
    any_of: Vec<Vec<Bound>>,
}

impl Constraint {
    /// Parses a constraint such as `^1.2 || >=2.0,<2.5 || dev-main`.
    ///
    /// # Errors
    ///
    /// When the text is not a constraint, or one that Composer's library would parse only in part.
    /// The error names the class, the atom and its position.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_BYTES {
            return Err(ConstraintError::new(VersionProblem::TooLong, text, 0));
        }
        Self::parse_any_length(text)
    }

    fn parse_any_length(text: &str) -> Result<Self, ConstraintError> {
        let whole = trimmed(text);
        if whole.text.chars().all(scan::is_blank) {
            return Err(ConstraintError::new(ConstraintProblem::Empty, "", 0));
        }
        if let Some(at) = scan::control_character(whole.text) {
            let problem = VersionProblem::ControlCharacter;
            let rest = &whole.text[at..];
            return Err(ConstraintError::new(problem, rest, whole.at + at));
        }
        let mut any_of = Vec::new();
        let mut left = MAX_BOUNDS;
        for alternative in split::alternatives(whole) {
            if any_of.len() == MAX_ALTERNATIVES {
                let problem = ConstraintProblem::TooManyAlternatives;
                return Err(ConstraintError::new(
                    problem,
                    alternative.text,
                    alternative.at,
                ));
            }
            let all_of = bounds(alternative, left)?;
            left -= all_of.len();
            any_of.push(all_of);
        }
        Ok(Self {
            text: text.into(),
            any_of,
        })
    }

    /// Reports whether the version satisfies the constraint.
    ///
    /// Ranges allow pre-releases of the versions in them, and no named branches; `*` and
    /// `!=` allow named branches too.
    pub fn allows(&self, version: &Version) -> bool {
        self.any_of
            .iter()
            .any(|all_of| all_of.iter().all(|bound| bound.allows(version)))
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the parsed form: a version must satisfy every bound of one of the lists. An empty
    /// list allows everything.
    pub fn any_of(&self) -> &[Vec<Bound>] {
        &self.any_of
    }

    /// Returns the meaning for people, for instance `>=1.2.0.0-dev <2.0.0.0-dev || ==dev-main`.
    ///
    /// Every bound is written out, so that a typing mistake shows (`1.0-foo-dev` is the branch
    /// `dev-1.0-foo`). It is not meant to be parsed: as a constraint, `<2.0.0.0` would get a `-dev`
    /// that the bound does not have.
    pub fn meaning(&self) -> String {
        let all_of = |bounds: &Vec<Bound>| {
            if bounds.is_empty() {
                return "*".to_owned();
            }
            bounds
                .iter()
                .map(Bound::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        self.any_of
            .iter()
            .map(all_of)
            .collect::<Vec<_>>()
            .join(" || ")
    }
}

/// Returns the bounds of one alternative: those of all its atoms, at most `most`.
fn bounds(alternative: Piece<'_>, most: usize) -> Result<Vec<Bound>, ConstraintError> {
    if alternative.text.is_empty() {
        return Err(ConstraintError::new(
            ConstraintProblem::EmptyAlternative,
            "",
            alternative.at,
        ));
    }
    let atoms = split::atoms(alternative);
    let mut bounds = Vec::new();
    for (index, piece) in atoms.iter().enumerate() {
        let read = atom::bounds(piece.text).map_err(|refusal| {
            let problem = match refusal {
                Refusal::NumberTooLong => VersionProblem::NumberTooLong.into(),
                Refusal::Unreadable => diagnose::atom(piece.text, index + 1 < atoms.len()),
            };
            ConstraintError::new(problem, piece.text, piece.at)
        })?;
        bounds.extend(read);
        if bounds.len() > most {
            let problem = ConstraintProblem::TooManyBounds;
            return Err(ConstraintError::new(problem, piece.text, piece.at));
        }
    }
    Ok(bounds)
}

fn trimmed(text: &str) -> Piece<'_> {
    let at = text.len() - text.trim_start_matches(scan::TRIMMED).len();
    Piece {
        text: scan::trim(text),
        at,
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
