//! What can be wrong with a setting, and how it is said.
//!
//! No value of a secret setting is kept in a problem or a warning, so that both can be printed,
//! logged and sent to somebody who helps.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why [`Config::load`](super::Config::load) gave no settings: every problem, not only the first.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors {
    /// At least one: of the file, then of single settings, then of settings together.
    pub problems: Vec<Problem>,
    /// What else was found; harmless by itself.
    pub warnings: Vec<Warning>,
}

/// One problem a line.
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

/// One thing that must change before the service starts.
#[derive(Debug)]
pub struct Problem {
    /// The environment variable; for a key of the file that is no setting the key, for the file
    /// itself `--config`.
    pub variable: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong.
    pub kind: ProblemKind,
    /// What would be right, as the end of "expected …".
    pub expected: &'static str,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The variable itself; also where settings are wrong together, wherever each was set.
    Environment,
    /// The file of `--config`.
    ConfigFile(PathBuf),
    /// The file that `NAME_FILE` names.
    SecretFile(PathBuf),
}

/// What is wrong with a setting.
#[derive(Debug)]
pub enum ProblemKind {
    /// Not set, although another setting asks for it; the text says which.
    Missing(&'static str),
    /// Set, but not to Unicode text.
    NotUnicode,
    /// Text of a wrong form; the text says what is wrong with it.
    Malformed(String),
    /// A file that cannot be read.
    Unreadable(io::Error),
    /// Both `NAME` and `NAME_FILE` are set: which one counts would be a guess.
    SetTwice,
    /// A key of the file that is no setting.
    UnknownKey,
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
            ProblemKind::UnknownKey => f.write_str("unknown key")?,
        }
        write!(f, "; expected {}", self.expected)
    }
}

/// Something that is probably a mistake, but harms nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The environment variable.
    pub variable: String,
    /// What was found, in a few words.
    pub detail: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.detail)
    }
}
