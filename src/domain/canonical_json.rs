//! One text for all the texts of the same JSON, by which bodies are compared.
//!
//! Blanks, the order of names, escapes and the spelling of numbers mean nothing, and a program that
//! writes a body again may choose others. Numbers are compared by their decimal digits, of which a
//! double would lose some.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use serde::de::IgnoredAny;

use super::json_text::{decimal, split_token, unquoted};

/// The most lists and objects in each other: as many as a body may have to be parsed.
const MAX_DEPTH: usize = 127;

/// Writes JSON so that two texts of the same value become the same text. Returns `None` for what is
/// not JSON, or too deep, and for an object that has a name twice: which of its values is meant is
/// not said.
pub(crate) fn canonical_json(bytes: &[u8]) -> Option<String> {
    // From here on it is known to be well formed.
    serde_json::from_slice::<IgnoredAny>(bytes).ok()?;
    let mut rest = std::str::from_utf8(bytes).ok()?;
    let mut text = String::with_capacity(bytes.len());
    write_value(&mut rest, &mut text, MAX_DEPTH)?;
    Some(text)
}

/// Takes the next token that is not a blank.
fn next<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (token, behind) = split_token(rest.trim_ascii_start())?;
    *rest = behind;
    Some(token)
}

fn write_value(rest: &mut &str, text: &mut String, depth: usize) -> Option<()> {
    let token = next(rest)?;
    match token.as_bytes().first()? {
        b'{' => write_object(rest, text, depth.checked_sub(1)?),
        b'[' => write_list(rest, text, depth.checked_sub(1)?),
        b'"' => write_text(&unquoted(token), text),
        b'-' | b'0'..=b'9' => write_number(token, text),
        // `true`, `false` and `null` come letter by letter.
        letter => {
            text.push_str(token);
            let more = if *letter == b'f' { 4 } else { 3 };
            for _ in 0..more {
                text.push_str(next(rest)?);
            }
            Some(())
        }
    }
}

fn write_object(rest: &mut &str, text: &mut String, depth: usize) -> Option<()> {
    let mut fields: BTreeMap<Cow<'_, str>, String> = BTreeMap::new();
    loop {
        match next(rest)? {
            "}" => break,
            "," => {}
            name => {
                next(rest)?;
                let mut value = String::new();
                write_value(rest, &mut value, depth)?;
                if fields.insert(unquoted(name), value).is_some() {
                    return None;
                }
            }
        }
    }
    text.push('{');
    for (name, value) in fields {
        write_text(&name, text)?;
        text.push(':');
        text.push_str(&value);
        text.push(',');
    }
    text.push('}');
    Some(())
}

fn write_list(rest: &mut &str, text: &mut String, depth: usize) -> Option<()> {
    text.push('[');
    loop {
        let here = *rest;
        match next(rest)? {
            "]" => break,
            "," => {}
            _ => {
                *rest = here;
                write_value(rest, text, depth)?;
                text.push(',');
            }
        }
    }
    text.push(']');
    Some(())
}

fn write_text(inner: &str, text: &mut String) -> Option<()> {
    text.push_str(&serde_json::to_string(inner).ok()?);
    Some(())
}

fn write_number(number: &str, text: &mut String) -> Option<()> {
    let Some((digits, exponent)) = decimal(number) else {
        text.push_str(number);
        return Some(());
    };
    if digits.is_empty() {
        text.push('0');
        return Some(());
    }
    let sign = if number.starts_with('-') { "-" } else { "" };
    write!(text, "{sign}{digits}e{exponent}").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_same_json_become_one() {
        let same = [
            (
                r#"{"a": 1, "b": [true, null]}"#,
                r#" {"b":[true,null],"a":1}"#,
            ),
            (r#"{"a": {"c": 1, "b": 2}}"#, r#"{"a": {"b": 2, "c": 1}}"#),
            (r#"{"é\n": "\u0041/"}"#, r#"{"\u00e9\u000a": "A\/"}"#),
            (r#""😀""#, r#""\ud83d\ude00""#),
            ("[1, 10, 0.5, -2]", "[1.0, 1e1, 5E-1, -20e-1]"),
            ("[0, 0]", "[-0, 0.0e7]"),
            ("[[], {}, false]", "[ [ ] , { } , false ]"),
        ];
        for (one, other) in same {
            assert!(canonical_json(one.as_bytes()).is_some(), "{one}");
            assert_eq!(
                canonical_json(one.as_bytes()),
                canonical_json(other.as_bytes())
            );
        }
    }

    #[test]
    fn different_json_stays_different() {
        let texts = [
            "{}",
            "[]",
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "10",
            "0.1",
            r#""""#,
            r#""1""#,
            r#""null""#,
            "[1, 2]",
            "[2, 1]",
            "[12]",
            "[[1], 2]",
            "[[1, 2]]",
            r#"{"a": 1}"#,
            r#"{"a": "1"}"#,
            r#"{"b": 1}"#,
            r#"{"A": 1}"#,
            r#"{"a": {"b": 1}}"#,
            r#"{"a": {}, "b": 1}"#,
            "18446744073709551616",
            "18446744073709551617",
            "9007199254740993",
            "9007199254740992",
            "0.1000000000000000055511151231257827",
            "1e-99999999999999999999",
            "1e-99999999999999999998",
        ];
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for text in texts {
            let canonical = canonical_json(text.as_bytes()).unwrap();
            if let Some(other) = seen.insert(canonical, text) {
                panic!("{text} is taken for {other}");
            }
        }
    }

    #[test]
    fn what_is_no_json_or_says_something_twice_has_no_such_text() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(canonical_json(nested(127).as_bytes()).is_some());
        let (deep, deepest) = (nested(128), nested(500_000));
        for text in [
            "",
            " ",
            "{",
            r#"{"a": 1"#,
            "{} x",
            "01",
            r#"{"a": 1, "\u0061": 1}"#,
            r#"[{"b": {"a": 1, "a": 2}}]"#,
            &deep,
            &deepest,
        ] {
            let part = text.get(..99).unwrap_or(text);
            assert_eq!(canonical_json(text.as_bytes()), None, "{part}");
        }
        assert_eq!(canonical_json(b"\"\xff\""), None);
    }
}
