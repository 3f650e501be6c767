//! Normalises the text of a version.
//!
//! The forms are tried in a fixed sequence, which matters more than the forms themselves: `1.0-dev`
//! is a pre-release because the classical form is tried before the branch form, and `2023.01.31`
//! gets a fourth number because it is tried before the dated one.

use super::scan::{
    MAX_DIGITS, ends_name, is_blank, split_digits, split_flag, split_numbers,
    strip_prefix_any_case, strip_suffix_any_case, strip_v, trim, without_alias,
};
use super::suffix::Suffix;

/// Stands for a wildcard in the normalised form of a numeric branch.
const BRANCH_NUMBER: &str = "9999999";

/// The reasons for a refusal that the parser itself distinguishes; the exact class of an unreadable
/// text is only determined when it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unreadable,
    NumberTooLong,
}

/// The normalised form of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// The branch `dev-<name>`.
    Named(&'a str),
    /// Four numbers, with a suffix or not.
    Numbered(String),
}

/// Normalises the text of a version. The caller refuses control characters.
pub(super) fn normalise(text: &str) -> Result<Form<'_>, Refusal> {
    let text = without_alias(trim(text));
    let text = split_flag(text).map_or(text, |(version, _)| version);
    if matches!(text, "master" | "trunk" | "default") {
        return Ok(Form::Named(text));
    }
    if let Some(name) = strip_prefix_any_case(text, "dev-") {
        return Ok(Form::Named(name));
    }
    let text = without_metadata(text);
    let normalised = classical(text)
        .or_else(|| dated(text))
        .or_else(|| {
            let name = strip_suffix_any_case(text, "dev")?;
            numeric_branch(name.strip_suffix(['.', '-']).unwrap_or(name))
        })
        .ok_or(Refusal::Unreadable)?;
    checked(normalised).map(Form::Numbered)
}

/// Returns the version of a VCS branch: numeric when the name looks like one, named otherwise.
pub(super) fn from_branch(name: &str) -> Result<Form<'_>, Refusal> {
    let name = trim(name);
    match numeric_branch(name) {
        Some(normalised) => checked(normalised).map(Form::Numbered),
        None => Ok(Form::Named(name)),
    }
}

/// Returns a normalised text unless one of its numbers is too long.
pub(super) fn checked(normalised: String) -> Result<String, Refusal> {
    let mut rest = normalised.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (digits, after) = split_digits(&rest[start..]);
        if digits.len() > MAX_DIGITS {
            return Err(Refusal::NumberTooLong);
        }
        rest = after;
    }
    Ok(normalised)
}

/// Returns `A` of `A+B`: build metadata is dropped.
fn without_metadata(text: &str) -> &str {
    match text.split_once('+') {
        Some((version, build))
            if !version.is_empty()
                && !version.contains(ends_name)
                && !build.is_empty()
                && !build.contains(is_blank) =>
        {
            version
        }
        _ => text,
    }
}

/// Parses one to four numbers, the first of at most five digits, padded to four.
fn classical(text: &str) -> Option<String> {
    let (numbers, rest) = split_numbers(strip_v(text))?;
    if numbers[0].len() > 5 {
        return None;
    }
    let suffix = Suffix::read(rest)?;
    let mut version = four_numbers(&numbers);
    suffix.write_to(&mut version);
    Some(version)
}

/// Joins up to four numbers, padded with `0` to four.
pub(super) fn four_numbers(numbers: &[&str]) -> String {
    let mut version = numbers.join(".");
    for _ in numbers.len()..4 {
        version.push_str(".0");
    }
    version
}

/// Parses a date, or a first number of six or more digits. Nothing is padded.
fn dated(text: &str) -> Option<String> {
    let text = strip_v(text);
    let run = text
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':' | b'-'))
        .count();
    let run = text[..run].trim_end_matches(['.', ':', '-']);
    if !is_date(run.as_bytes()) {
        return None;
    }
    let suffix = Suffix::read(&text[run.len()..])?;
    let mut version = run.replace([':', '-'], ".");
    suffix.write_to(&mut version);
    Some(version)
}

/// Matches four digits, then one to six groups of two, then up to two groups of one to three, each
/// group with at most one separator before it. At most 22 digits can match, so all divisions are
/// tried in a bounded number of steps.
fn is_date(run: &[u8]) -> bool {
    fn strip_group(run: &[u8], digits: usize) -> Option<&[u8]> {
        let run = match run {
            [b'.' | b':' | b'-', rest @ ..] => rest,
            _ => run,
        };
        let (group, rest) = run.split_at_checked(digits)?;
        group.iter().all(u8::is_ascii_digit).then_some(rest)
    }
    fn ends_in(run: &[u8], short_groups: usize) -> bool {
        run.is_empty()
            || short_groups > 0
                && (1..=3).any(|digits| {
                    strip_group(run, digits).is_some_and(|rest| ends_in(rest, short_groups - 1))
                })
    }
    let Some((year, mut rest)) = run.split_at_checked(4) else {
        return false;
    };
    if !year.iter().all(u8::is_ascii_digit) {
        return false;
    }
    for _ in 0..6 {
        match strip_group(rest, 2) {
            Some(after) if ends_in(after, 2) => return true,
            Some(after) => rest = after,
            None => return false,
        }
    }
    false
}

/// Parses a branch such as `1.x`, `v2.0` or `1.*.3`; wildcards and missing numbers are padded.
fn numeric_branch(name: &str) -> Option<String> {
    let (first, mut rest) = split_digits(strip_v(name));
    if first.is_empty() {
        return None;
    }
    let mut parts = vec![first];
    while let Some(part) = rest.strip_prefix('.') {
        let (digits, after) = split_digits(part);
        if digits.is_empty() {
            rest = part.strip_prefix(['x', 'X', '*'])?;
            parts.push(BRANCH_NUMBER);
        } else {
            rest = after;
            parts.push(digits);
        }
        if parts.len() > 4 {
            return None;
        }
    }
    if !rest.is_empty() {
        return None;
    }
    parts.resize(4, BRANCH_NUMBER);
    Some(parts.join(".") + "-dev")
}
