//! Formats an error with all its causes for the log.

use std::error::Error;

/// Maximum number of bytes of the text. A database quotes whole statements.
const LONGEST: usize = 4_096;

/// Returns the texts of the error and all its sources on one line, outermost first, cut if it is long.
///
/// The log gets this text instead of the error value, because tracing-subscriber writes the sources
/// of an error only in its text format: its JSON keeps the outermost message and drops the sources,
/// which tell what went wrong.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Some libraries repeat their causes in their own text.
        if !text.split(": ").any(|part| part == said) && !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("outermost: outer: inner")]
    struct Repeating(#[source] Outer);

    #[test]
    fn what_was_said_already_is_not_repeated() {
        assert_eq!(chain(&Repeating(Outer(Inner))), "outermost: outer: inner");
    }

    #[test]
    fn every_cause_is_named_outermost_first() {
        assert_eq!(chain(&Outer(Inner)), "outer: inner");
        assert_eq!(chain(&Inner), "inner");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = std::io::Error::other("é".repeat(10_000));
        assert_eq!(chain(&long), "é".repeat(LONGEST / 2));
    }
}
