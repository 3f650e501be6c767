//! The reasons why a version or a constraint is refused, worded for the person who typed it.
//!
//! Each class has a stable code. The classes of a version are a subset of those of a constraint,
//! because most atoms contain a version.

use std::fmt;

/// The maximum number of characters of the refused text that an error shows.
const EXCERPT: usize = 120;

/// The classes of mistakes in a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionProblem {
    /// Only blanks, `v`, or a flag.
    #[error("the version is empty")]
    Empty,
    /// More than [`MAX_BYTES`](super::limits::MAX_BYTES).
    #[error("the text is longer than {} bytes", super::limits::MAX_BYTES)]
    TooLong,
    /// A newline, NUL or the like inside.
    #[error("control characters are not allowed")]
    ControlCharacter,
    /// A number of more than 18 digits.
    #[error("a number has more than {} digits", super::scan::MAX_DIGITS)]
    NumberTooLong,
    /// A blank where none is allowed.
    #[error("a blank cannot stand here")]
    BlankInside,
    /// An operator, a wildcard or a list where a single version is expected.
    #[error("this is a constraint; a single version is wanted, such as `1.2.3`")]
    Constraint,
    /// `1.2.3.4.5`.
    #[error("a version has at most four numbers")]
    TooManyParts,
    /// `2023-1-5`.
    #[error("not a date; write `2023-01-05` or `20230105`")]
    BadDate,
    /// `1.0+`.
    #[error("build metadata is written behind a version without blanks, `1.0+build`")]
    BadBuild,
    /// `1.0@foo`.
    #[error("unknown stability behind `@`; one of dev, alpha, beta, RC, stable")]
    BadStabilityFlag,
    /// `1.0#abc`.
    #[error("`#` and a reference are only allowed behind `dev-name` or `1.x-dev`")]
    ReferenceOnNonBranch,
    /// `1.0 as`.
    #[error("an alias is written `dev-main as 1.0`, with a version on each side of `as`")]
    BadAlias,
    /// `main`, `foo_bar-dev`.
    #[error("not a version; a branch is written `dev-main`")]
    BadBranch,
    /// Any other mistake.
    #[error("not a version")]
    BadVersion,
}

impl VersionProblem {
    /// Returns the code of the class, which never changes.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::ControlCharacter => "control_character",
            Self::NumberTooLong => "number_too_long",
            Self::BlankInside => "blank_inside",
            Self::Constraint => "constraint_not_version",
            Self::TooManyParts => "too_many_parts",
            Self::BadDate => "bad_date",
            Self::BadBuild => "bad_build",
            Self::BadStabilityFlag => "bad_stability_flag",
            Self::ReferenceOnNonBranch => "reference_on_non_branch",
            Self::BadAlias => "bad_alias",
            Self::BadBranch => "bad_branch",
            Self::BadVersion => "bad_version",
        }
    }
}

/// The classes of mistakes in a constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstraintProblem {
    /// Nothing, or only blanks.
    #[error("the constraint is empty; write `*` to allow every version")]
    Empty,
    /// More alternatives than [`MAX_ALTERNATIVES`](super::limits::MAX_ALTERNATIVES).
    #[error("more than {} alternatives", super::limits::MAX_ALTERNATIVES)]
    TooManyAlternatives,
    /// More bounds than [`MAX_BOUNDS`](super::limits::MAX_BOUNDS).
    #[error("more than {} bounds", super::limits::MAX_BOUNDS)]
    TooManyBounds,
    /// `^1.0 ||`.
    #[error("nothing stands on one side of `||`")]
    EmptyAlternative,
    /// `>2.0,,<3.0`.
    #[error("a comma without a constraint next to it")]
    StrayComma,
    /// `=>1.0`.
    #[error("unknown operator `{written}`; write {instead}")]
    UnknownOperator {
        /// The operator as typed.
        written: String,
        /// The operator that was probably meant.
        instead: &'static str,
    },
    /// `>=` alone.
    #[error("`{operator}` needs a version")]
    OperatorWithoutVersion {
        /// The operator as typed.
        operator: String,
    },
    /// `^ 1.0`.
    #[error("no space is allowed after `{operator}`")]
    SpaceAfterOperator {
        /// `^` or `~`.
        operator: String,
    },
    /// `>=1.*`.
    #[error("a wildcard stands alone; write `1.*` or `>=1.0`")]
    OperatorWithWildcard,
    /// `1.*.2`, `1*`.
    #[error("wildcards can only end a version of up to three numbers, `1.2.*`")]
    MisplacedWildcard,
    /// `1.0 -2.0`.
    #[error("a range is written `1.0 - 2.0`, with one space on each side of the hyphen")]
    HyphenForm,
    /// The version in the atom is wrong.
    #[error(transparent)]
    Version(#[from] VersionProblem),
}

impl ConstraintProblem {
    /// Returns the code of the class, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooManyAlternatives => "too_many_alternatives",
            Self::TooManyBounds => "too_many_bounds",
            Self::EmptyAlternative => "empty_alternative",
            Self::StrayComma => "stray_comma",
            Self::UnknownOperator { .. } => "unknown_operator",
            Self::OperatorWithoutVersion { .. } => "operator_without_version",
            Self::SpaceAfterOperator { .. } => "space_after_caret_or_tilde",
            Self::OperatorWithWildcard => "operator_with_wildcard",
            Self::MisplacedWildcard => "misplaced_wildcard",
            Self::HyphenForm => "hyphen_form",
            Self::Version(problem) => problem.code(),
        }
    }
}

/// A text that is not a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionError {
    problem: VersionProblem,
    text: Box<str>,
}

impl VersionError {
    pub(super) fn new(problem: VersionProblem, text: &str) -> Self {
        Self {
            problem,
            text: excerpt(text),
        }
    }

    /// Returns the class of the mistake.
    pub fn problem(&self) -> VersionProblem {
        self.problem
    }

    /// Returns the code of the class, which never changes.
    pub fn code(&self) -> &'static str {
        self.problem.code()
    }

    /// Returns the refused text, or its beginning if it is long.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, &self.problem, &self.text)
    }
}

impl std::error::Error for VersionError {}

/// A text that is not a constraint: the mistake, its atom, and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintError {
    problem: ConstraintProblem,
    atom: Box<str>,
    at: usize,
}

impl ConstraintError {
    pub(super) fn new(problem: impl Into<ConstraintProblem>, atom: &str, at: usize) -> Self {
        Self {
            problem: problem.into(),
            atom: excerpt(atom),
            at,
        }
    }

    /// Returns the class of the mistake.
    pub fn problem(&self) -> &ConstraintProblem {
        &self.problem
    }

    /// Returns the code of the class, which never changes.
    pub fn code(&self) -> &'static str {
        self.problem.code()
    }

    /// Returns the refused atom, or its beginning if it is long. Empty when something is missing.
    pub fn atom(&self) -> &str {
        &self.atom
    }

    /// Returns the byte position of the atom in the original text, counted from zero.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for ConstraintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, &self.problem, &self.atom)
    }
}

impl std::error::Error for ConstraintError {}

/// Writes `problem: text`, the text escaped so that it stays on one line of a log.
pub(in crate::domain::access) fn show(
    f: &mut fmt::Formatter<'_>,
    problem: &dyn fmt::Display,
    text: &str,
) -> fmt::Result {
    write!(f, "{problem}")?;
    if text.trim().is_empty() {
        return Ok(());
    }
    write!(f, ": `{}`", text.escape_debug())
}

/// Returns the text, or its beginning if it is long.
pub(in crate::domain::access) fn excerpt(text: &str) -> Box<str> {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
