//! An error with everything that led to it, for a line of the log.

use std::error::Error;

/// The error's words and those of all its sources, on one line, outermost first.
///
/// Handed to the log as text. Handed over as an error, its sources would be written in the text
/// form alone: tracing-subscriber's JSON keeps the outermost words and drops the rest, which are
/// the ones that say what went wrong.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
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

    #[test]
    fn every_cause_is_named_outermost_first() {
        assert_eq!(chain(&Outer(Inner)), "outer: inner");
        assert_eq!(chain(&Inner), "inner");
    }
}
