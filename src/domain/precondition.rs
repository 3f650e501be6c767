//! Preconditions of changes: the state that whoever asks for a change has seen.
//!
//! Two people who change one thing at the same time would overwrite each other without noticing.
//! Whoever reads a state gets its tag, and may ask for a change only of that state. The tag is made
//! of the state itself and of no time, so both stores give the same one, and a change that is taken
//! back gives the earlier one again.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::canonical_json::canonical_json;

/// A tag of a state: the same as long as the state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTag(String);

impl StateTag {
    /// Makes the tag of a state.
    pub fn of(state: &impl Serialize) -> Self {
        // Texts, lists and maps always become JSON.
        let written = serde_json::to_vec(state).unwrap_or_default();
        // One engine may give numbers and names back in another form than the other.
        let text = canonical_json(&written).map_or(written, String::into_bytes);
        Self(hex::encode(&Sha256::digest(text)[..16]))
    }

    /// Returns its text, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The states that a change is meant for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Any, and what is not there yet.
    #[default]
    None,
    /// Any, but it must be there.
    Exists,
    /// What is not there yet alone.
    Absent,
    /// Those with one of these tags.
    OneOf(Vec<String>),
}

/// The state is not one that the change is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state has changed since it was read")]
pub struct Stale;

impl Precondition {
    /// Checks a state, to be called in the transaction of the change; `None` if there is none.
    ///
    /// # Errors
    /// When the change is not meant for it.
    pub fn check(&self, tag: Option<&StateTag>) -> Result<(), Stale> {
        let is_met = match (self, tag) {
            (Self::None, _) | (Self::Exists, Some(_)) | (Self::Absent, None) => true,
            (Self::OneOf(tags), Some(tag)) => tags.contains(&tag.0),
            (Self::Absent, Some(_)) | (Self::Exists | Self::OneOf(_), None) => false,
        };
        if is_met { Ok(()) } else { Err(Stale) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_made_only_of_the_state_that_it_is_meant_for() {
        let now = StateTag::of(&json!({"a": 1, "b": 100.0}));
        let same: serde_json::Value = serde_json::from_str(r#"{"b": 100, "a": 1}"#).unwrap();
        assert_eq!(StateTag::of(&same), now);
        let before = StateTag::of(&json!({"a": 1, "b": 101}));
        assert_ne!(before, now);
        let one_of = |tags: &[&StateTag]| {
            Precondition::OneOf(tags.iter().map(|tag| tag.as_str().to_owned()).collect())
        };
        for (precondition, here, nowhere) in [
            (Precondition::None, true, true),
            (Precondition::Exists, true, false),
            (one_of(&[&now]), true, false),
            (one_of(&[&before, &now]), true, false),
            (one_of(&[&before]), false, false),
            (one_of(&[]), false, false),
        ] {
            assert_eq!(precondition.check(Some(&now)).is_ok(), here);
            assert_eq!(precondition.check(None).is_ok(), nowhere);
        }
    }
}
