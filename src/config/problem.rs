//! Problems with settings and their wording.
//!
//! A problem or a warning never contains the value of a secret, so that both can be printed, logged
//! and sent to somebody who helps.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// All problems that kept [`Config::load`](super::Config::load) from returning settings.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors {
    /// At least one problem: of the file, then of single settings, then of combinations.
    pub problems: Vec<Problem>,
    /// Findings that would be harmless by themselves.
    pub warnings: Vec<Warning>,
}

/// Writes one problem per line.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// A problem that must be solved before the service starts.
#[derive(Debug)]
pub struct Problem {
    /// The environment variable; for an unknown key of the file that key; for the file itself
    /// `--config`.
    pub variable: String,
    /// The source of the value.
    pub origin: Origin,
    /// The kind of problem.
    pub kind: ProblemKind,
    /// A description of a valid value, as the end of "expected …".
    pub expected: &'static str,
}

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The variable itself; also used for combinations of settings, wherever each was set.
    Environment,
    /// The file of `--config`.
    ConfigFile(PathBuf),
    /// The file that `NAME_FILE` names.
    SecretFile(PathBuf),
}

/// The ways in which a setting can be wrong.
#[derive(Debug)]
pub enum ProblemKind {
    /// Not set, although another setting requires it; the text says which.
    Missing(&'static str),
    /// Set, but not to Unicode text.
    NotUnicode,
    /// Text of a wrong form; the text describes the error.
    Malformed(String),
    /// A file that cannot be read.
    Unreadable(io::Error),
    /// Both `NAME` and `NAME_FILE` are set: choosing one would be a guess.
    SetTwice,
    /// A key of the file that is no setting; with the nearest that is.
    UnknownKey(Option<String>),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.variable)?;
        match &self.origin {
            Origin::Environment => {}
            Origin::ConfigFile(path) => write!(f, " in {}", path.display())?,
            Origin::SecretFile(path) => write!(f, " from {}", path.display())?,
        }
        f.write_str(": ")?;
        match &self.kind {
            ProblemKind::Missing(why) => write!(f, "missing: {why}")?,
            ProblemKind::NotUnicode => f.write_str("not Unicode text")?,
            ProblemKind::Malformed(what) => write!(f, "malformed: {what}")?,
            ProblemKind::Unreadable(error) => write!(f, "unreadable file: {error}")?,
            ProblemKind::SetTwice => {
                write!(f, "set twice, by itself and as {}_FILE", self.variable)?;
            }
            ProblemKind::UnknownKey(None) => f.write_str("unknown key")?,
            ProblemKind::UnknownKey(Some(nearest)) => {
                write!(f, "unknown key (did you mean {nearest}?)")?;
            }
        }
        write!(f, "; expected {}", self.expected)
    }
}

/// A likely mistake that does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The environment variable.
    pub variable: String,
    /// The finding, in a few words.
    pub detail: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.detail)
    }
}
