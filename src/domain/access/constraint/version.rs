//! Versions: numbered ones and named branches.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::diagnose;
use super::error::{VersionError, VersionProblem};
use super::limits::MAX_BYTES;
use super::normalise::{self, Form, Refusal};
use super::order::{Token, tokens};
use super::scan::{control_character, trim};
use super::suffix::{Suffix, Word};

/// The stability of a version, from low to high. A patch release (`1.0-p1`) counts as stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stability {
    /// A named branch, a numeric branch, or anything that ends in `dev`.
    Dev,
    /// `1.0-alpha1`.
    Alpha,
    /// `1.0-beta1`.
    Beta,
    /// `1.0-RC1`.
    Rc,
    /// A release, or a patch of one.
    Stable,
}

impl Stability {
    /// Returns the stability of a text that need not be a valid version. The text is scanned from
    /// its end, so what is not understood is stable.
    pub fn of_text(text: &str) -> Self {
        let text = match text.split_once('#') {
            Some((before, reference)) if !reference.is_empty() => before,
            _ => text,
        };
        if text.starts_with("dev-") || text.ends_with("-dev") {
            return Self::Dev;
        }
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let suffix = Suffix::at_end_of(text);
        match suffix.word() {
            _ if suffix.is_dev() => Self::Dev,
            Some(Word::Alpha) => Self::Alpha,
            Some(Word::Beta) => Self::Beta,
            Some(Word::Rc) => Self::Rc,
            Some(Word::Stable | Word::Patch) | None => Self::Stable,
        }
    }

    /// Returns Composer's word: `dev`, `alpha`, `beta`, `RC` or `stable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Rc => "RC",
            Self::Stable => "stable",
        }
    }
}

impl fmt::Display for Stability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A normalised version: numbered (`1.2.3.0-beta2`) or a named branch (`dev-main`).
///
/// Equality and hashing compare values, so a set of versions answers whether a version is among
/// those that a customer is frozen to: `v1.0`, `1.0.0` and `01.0+build` are one version. Named
/// branches are equal only to the same name, byte for byte.
///
/// [`Ord`] is Composer's ordering among numbered versions. Composer has none for named branches and
/// constraints never need one; for ordered collections they sort below all numbered versions, by
/// name. Lists for people are sorted with [`Version::listing_order`].
///
/// Store the original text, not the normalised one: two oddities of Composer do not survive a
/// second parse. `2023-01-31` becomes `2023.01.31`, which parsed again gets a fourth number, and
/// `1.0-STABLE` becomes `1.0.0.0-stable`, which parsed again is `1.0.0.0`.
#[derive(Clone, Debug)]
pub struct Version {
    normalised: Box<str>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The normalised text is all there is.
    Named,
    Numbered(Box<[Token]>),
}

impl Version {
    /// Parses a version as Composer does, with or without `v`, stability flag, alias and build
    /// metadata.
    ///
    /// Three things that Composer's library accepts are refused, because an access check must not
    /// ignore half a text: control characters other than tab, numbers of more than 18 digits, and a
    /// blank inside anything but a named branch or an alias.
    ///
    /// # Errors
    ///
    /// When the text is not a version; the error names the class.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        check(text)?;
        Self::read(text).map_err(|refusal| {
            let problem = match refusal {
                Refusal::NumberTooLong => VersionProblem::NumberTooLong,
                Refusal::Unreadable => diagnose::version(trim(text)),
            };
            VersionError::new(problem, text)
        })
    }

    /// Returns the version that Composer gives to a VCS branch: `2.0` becomes
    /// `2.0.9999999.9999999-dev`, `main` becomes `dev-main`.
    ///
    /// # Errors
    ///
    /// For an empty name, a control character, or a number of more than 18 digits.
    pub fn from_branch(name: &str) -> Result<Self, VersionError> {
        check(name)?;
        if trim(name).is_empty() {
            return Err(VersionError::new(VersionProblem::Empty, name));
        }
        normalise::from_branch(name)
            .map(Self::from)
            .map_err(|_| VersionError::new(VersionProblem::NumberTooLong, name))
    }

    /// Parses a version without checking for control characters or finding out the class of an
    /// error.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        normalise::normalise(text).map(Self::from)
    }

    /// Makes the named branch `dev-<name>`.
    pub(super) fn named(name: &str) -> Self {
        Self {
            normalised: format!("dev-{name}").into(),
            kind: Kind::Named,
        }
    }

    /// Makes a numbered version from its normalised text.
    pub(super) fn numbered(normalised: String) -> Self {
        let kind = Kind::Numbered(tokens(&normalised));
        Self {
            normalised: normalised.into(),
            kind,
        }
    }

    /// Returns the version with `-tail` appended to its normalised text, for bounds.
    pub(super) fn with_tail(&self, tail: &str) -> Self {
        let normalised = format!("{}-{tail}", self.normalised);
        match self.kind {
            Kind::Named => Self {
                normalised: normalised.into(),
                kind: Kind::Named,
            },
            Kind::Numbered(_) => Self::numbered(normalised),
        }
    }

    /// Returns the normalised text.
    pub fn as_str(&self) -> &str {
        &self.normalised
    }

    /// True for a named branch, which no range allows.
    pub fn is_named_branch(&self) -> bool {
        matches!(self.kind, Kind::Named)
    }

    /// Returns the stability of the version.
    pub fn stability(&self) -> Stability {
        match self.kind {
            Kind::Named => Stability::Dev,
            Kind::Numbered(_) => Stability::of_text(&self.normalised),
        }
    }

    /// Compares for lists that people read, lowest first: named branches by name, then numbered
    /// versions, with `dev-master`, `dev-trunk` and `dev-default` at the position of `9999999-dev`.
    /// The three are equal here, so use a stable sort.
    pub fn listing_order(&self, other: &Self) -> Ordering {
        const DEFAULT_BRANCH: [Token; 3] = [Token::Number(9_999_999), Token::Dev, Token::End];
        fn rank(version: &Version) -> Option<&[Token]> {
            match (&version.kind, version.as_str()) {
                (Kind::Numbered(tokens), _) => Some(tokens),
                (Kind::Named, "dev-master" | "dev-trunk" | "dev-default") => Some(&DEFAULT_BRANCH),
                (Kind::Named, _) => None,
            }
        }
        match (rank(self), rank(other)) {
            (None, None) => self.normalised.cmp(&other.normalised),
            (mine, theirs) => mine.cmp(&theirs),
        }
    }

    /// Converts the version to the `semver` crate's, if it has three numbers (a fourth of zero is
    /// dropped) and at most one stability word.
    ///
    /// Stability words become numbers (dev 0, alpha 1, beta 2, RC 3), because their names sort
    /// wrongly there; `1.2.3-beta4` is `1.2.3-2.4`. Patches, numeric branches, most dated versions
    /// and `-dev` after another word have no equivalent in `semver`.
    pub fn to_semver(&self) -> Option<semver::Version> {
        let Kind::Numbered(tokens) = &self.kind else {
            return None;
        };
        let [
            Token::Number(major),
            Token::Number(minor),
            Token::Number(patch),
            Token::Number(0),
            rest @ ..,
        ] = &**tokens
        else {
            return None;
        };
        let mut version = semver::Version::new(*major, *minor, *patch);
        let (word, numbers) = match rest {
            [Token::End] => return Some(version),
            [Token::Dev, numbers @ .., Token::End] => ("0", numbers),
            [Token::Alpha, numbers @ .., Token::End] => ("1", numbers),
            [Token::Beta, numbers @ .., Token::End] => ("2", numbers),
            [Token::Rc, numbers @ .., Token::End] => ("3", numbers),
            _ => return None,
        };
        let mut pre = vec![word.to_owned()];
        for number in numbers {
            let Token::Number(number) = number else {
                return None;
            };
            pre.push(number.to_string());
        }
        version.pre = semver::Prerelease::new(&pre.join(".")).ok()?;
        Some(version)
    }
}

/// Checks what every text of a version must satisfy before it is parsed.
fn check(text: &str) -> Result<(), VersionError> {
    if text.len() > MAX_BYTES {
        return Err(VersionError::new(VersionProblem::TooLong, text));
    }
    if control_character(trim(text)).is_some() {
        return Err(VersionError::new(VersionProblem::ControlCharacter, text));
    }
    Ok(())
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.kind, &other.kind) {
            (Kind::Numbered(mine), Kind::Numbered(theirs)) => mine.cmp(theirs),
            (Kind::Named, Kind::Named) => self.normalised.cmp(&other.normalised),
            (Kind::Named, Kind::Numbered(_)) => Ordering::Less,
            (Kind::Numbered(_), Kind::Named) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.kind {
            Kind::Named => self.normalised.hash(state),
            Kind::Numbered(tokens) => tokens.hash(state),
        }
    }
}

impl From<Form<'_>> for Version {
    fn from(form: Form<'_>) -> Self {
        match form {
            Form::Named(name) => Self::named(name),
            Form::Numbered(normalised) => Self::numbered(normalised),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.normalised)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
