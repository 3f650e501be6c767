//! The order of numbered versions, as tokens whose derived order is the whole rule.
//!
//! Refused: four numbers with a stability and its number, which lose dated versions (whose
//! length matters), several numbers behind a word, and `-dev` behind a word. Refused too:
//! comparing texts, because `01`, `1` and `beta.2`, `beta2` are equal.

/// One piece of a normalised version. The order of the variants is the order of
/// versions; it is that of PHP's `version_compare` (php-src, `ext/standard/versioning.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Token {
    /// A word that the order does not know, such as `stable` or `BETA`; all are equal.
    Unknown,
    Dev,
    Alpha,
    Beta,
    Rc,
    /// Stands behind the last piece, so that `1.0-RC1` < `1.0` < `1.0-p1`.
    End,
    Number(u64),
    Patch,
}

/// Cuts a normalised version into tokens, [`Token::End`] last. Numbers beyond `u64`
/// count as its largest value; callers refuse them before.
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

/// Words are told by how they begin, in this case only.
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
