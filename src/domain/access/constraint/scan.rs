//! Small text scanners, shared by versions and constraints.
//!
//! All of them look at ASCII only, so every cut falls between characters, whatever else the text
//! contains.

/// The longest run of digits that a number may have. Composer's library clamps longer
/// ones or turns them into floating point; with this limit, adding one never overflows.
pub(super) const MAX_DIGITS: usize = 18;

/// Space, tab, newline, carriage return, vertical tab or form feed.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The characters that Composer trims at both ends: blanks without the form feed, and NUL.
pub(super) const TRIMMED: [char; 6] = [' ', '\t', '\n', '\r', '\0', '\x0b'];

/// Trims [`TRIMMED`] at both ends.
pub(in crate::domain::access) fn trim(text: &str) -> &str {
    text.trim_matches(TRIMMED)
}

/// Returns the byte position of the first control character that is not a tab.
pub(super) fn control_character(text: &str) -> Option<usize> {
    text.find(|c: char| c.is_control() && c != '\t')
}

/// Reports whether the character is a comma or a blank, which no plain name may contain.
pub(super) fn ends_name(c: char) -> bool {
    c == ',' || is_blank(c)
}

/// Splits the text after its leading digits.
pub(super) fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

/// Strips `prefix`, ignoring case.
pub(super) fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Strips `suffix`, ignoring case.
pub(super) fn strip_suffix_any_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let cut = text.len().checked_sub(suffix.len())?;
    let (rest, tail) = text.split_at_checked(cut)?;
    tail.eq_ignore_ascii_case(suffix).then_some(rest)
}

/// Strips the optional `v` or `V` before a number.
pub(super) fn strip_v(text: &str) -> &str {
    text.strip_prefix(['v', 'V']).unwrap_or(text)
}

/// Splits off one to four numbers joined by dots from the rest of the text.
///
/// The numbers are kept as typed: leading zeros count where Composer compares texts.
pub(super) fn split_numbers(text: &str) -> Option<(Vec<&str>, &str)> {
    let (first, mut rest) = split_digits(text);
    if first.is_empty() {
        return None;
    }
    let mut numbers = vec![first];
    while numbers.len() < 4 {
        let Some((number, after)) = rest.strip_prefix('.').map(split_digits) else {
            break;
        };
        if number.is_empty() {
            break;
        }
        numbers.push(number);
        rest = after;
    }
    Some((numbers, rest))
}

/// Returns `A` of `A as B`: Composer takes the text as A, and B is only for its solver.
pub(super) fn without_alias(text: &str) -> &str {
    fn alias(text: &str) -> Option<&str> {
        let (name, rest) = text.split_at(text.find(ends_name)?);
        let other = strip_spaces(strip_spaces(rest)?.strip_prefix("as")?)?;
        let plain = !name.is_empty() && !other.is_empty() && !other.contains(ends_name);
        plain.then_some(name)
    }
    alias(text).unwrap_or(text)
}

/// Strips one or more spaces.
fn strip_spaces(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(' ');
    (rest.len() < text.len()).then_some(rest)
}

/// Splits a stability flag such as `@beta` (any case) off the end. Returns what is before it, and
/// its word as typed.
pub(super) fn split_flag(text: &str) -> Option<(&str, &str)> {
    let (before, word) = text.rsplit_once('@')?;
    ["stable", "RC", "beta", "alpha", "dev"]
        .iter()
        .any(|flag| flag.eq_ignore_ascii_case(word))
        .then_some((before, word))
}
