//! External ids in a query, in which a `+` that was not encoded arrives as a blank. Ids may have blanks, so
//! both are looked for.

use crate::provider::other_spellings;

/// The text with a `+` for each blank, if it has any.
pub(super) fn with_plus(text: &str) -> Option<String> {
    text.contains(' ').then(|| text.replace(' ', "+"))
}

/// The other spellings of an external id of a query; with a `+` for a blank, too.
pub(super) fn spellings(external_id: &str) -> Vec<String> {
    let mut spellings = other_spellings(external_id);
    if let Some(meant) = with_plus(external_id) {
        spellings.extend(other_spellings(&meant));
        spellings.push(meant);
    }
    spellings
}
