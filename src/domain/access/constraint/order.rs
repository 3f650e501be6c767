//! The ordering of numbered versions, as tokens whose derived ordering is the whole rule.
//!
//! Refused: four numbers with a stability and its number, which lose dated versions (whose length
//! matters), several numbers after a word, and `-dev` after a word; and comparing texts, because
//! `01` and `1`, or `beta.2` and `beta2`, are equal.

/// One token of a normalised version. The order of the variants is the ordering of versions: that
/// of PHP's `version_compare` (php-src, `ext/standard/versioning.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Token {
    /// A word that the ordering does not know, such as `stable` or `BETA`; all are equal.
    Unknown,
    Dev,
    Alpha,
    Beta,
    Rc,
    /// Follows the last piece, so that `1.0-RC1` < `1.0` < `1.0-p1`.
    End,
    Number(u64),
    Patch,
}

/// Splits a normalised version into tokens, [`Token::End`] last. Numbers beyond `u64` count as its
/// largest value; callers refuse them before.
pub(super) fn tokens(normalised: &str) -> Box<[Token]> {
    let mut tokens = Vec::with_capacity(8);
    let mut rest = normalised;
    while let Some(first) = rest.bytes().next() {
        let (piece, after) = if first.is_ascii_digit() {
            split_run(rest, |byte| byte.is_ascii_digit())
        } else if first.is_ascii_alphabetic() {
            split_run(rest, |byte| byte.is_ascii_alphabetic())
        } else {
            split_run(rest, |byte| !byte.is_ascii_alphanumeric())
        };
        if first.is_ascii_digit() {
            tokens.push(Token::Number(piece.parse().unwrap_or(u64::MAX)));
        } else if first.is_ascii_alphabetic() {
            tokens.push(word(piece));
        }
        rest = after;
    }
    tokens.push(Token::End);
    tokens.into_boxed_slice()
}

fn split_run(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().take_while(|byte| belongs(*byte)).count())
}

/// Recognises a word by its beginning, case-sensitively.
fn word(letters: &str) -> Token {
    if letters.starts_with("dev") {
        Token::Dev
    } else if letters.starts_with('a') {
        Token::Alpha
    } else if letters.starts_with('b') {
        Token::Beta
    } else if letters.starts_with("RC") || letters.starts_with("rc") {
        Token::Rc
    } else if letters.starts_with('p') {
        Token::Patch
    } else {
        Token::Unknown
    }
}
