//! Parsing is linear. The test measures no time: each text is half a million bytes, far above what
//! is accepted from outside, so a scan that is quadratic in one of them takes 10^11 steps and
//! practically never ends.

use super::normalise::normalise;
use super::{Constraint, Stability};

const BYTES: usize = 1 << 19;

/// A head, a piece that is repeated, and a tail that makes any look-ahead fail.
const TEXTS: [(&str, &str, &str); 16] = [
    ("1.0", " ", "x"),
    ("1.0-", " ", "- 2.0"),
    ("1.0", " ,", "as"),
    ("a", " as", "!"),
    ("^1", "| ", "x"),
    (">=1", ".1", "!"),
    (">=1.0-beta", "-1", "!"),
    (">=1.0-", "-", "!"),
    (">=1.0", "-p1", "!"),
    ("1.0", "alpha.1", "!"),
    ("20230131", "-01", "!"),
    ("20230131", "1", "!"),
    ("1.0+", "+", " -dev"),
    ("dev-a", "#", "@dev"),
    ("1", ".x", "-dev!"),
    ("", "é", "-dev"),
];

#[test]
fn parsing_is_linear_in_the_length_of_the_text() {
    for (head, piece, tail) in TEXTS {
        let text = format!("{head}{}{tail}", piece.repeat(BYTES / piece.len()));
        // The answers are tested elsewhere; here they only have to come.
        let _ = Constraint::parse_any_length(&text);
        let _ = normalise(&text);
        let _ = Stability::of_text(&text);
    }
}
