//! Why a part of a process cannot do its work.

use std::borrow::Cow;

use crate::store::Trouble;

/// Why a part cannot do its work. Shown to everybody, so it names no address and no tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stable code, for programs.
    pub code: &'static str,
    /// The sentence for people.
    pub reason: Cow<'static, str>,
}

impl Fault {
    /// Makes a fault of a code and a sentence.
    pub fn new(code: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    /// The queue does not take messages, or does not hand any out.
    pub(super) fn broker_away() -> Self {
        Self::new("broker_away", "the broker cannot be reached or refuses")
    }

    /// True if a broker is to blame, so that a spool helps.
    pub fn is_of_broker(&self) -> bool {
        self.code == "broker_away"
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.code(), trouble.sentence())
    }
}
