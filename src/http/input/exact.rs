//! What parsing a body would lose without a word: all but the last of the values that are given
//! under one name, and digits of numbers that no double has.
//!
//! Both are refused. Only the text shows them, so the text is looked through, of which is known that
//! it is JSON.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write;

use crate::domain::json_text::{decimal, split_token, unquoted};
use crate::http::field_errors::FieldErrors;

/// An object or a list that has begun.
enum Open<'a> {
    Object {
        names: HashSet<Cow<'a, str>>,
        /// The name whose value comes, or came last.
        name: Cow<'a, str>,
        /// True where a name comes next.
        is_at_name: bool,
    },
    List {
        index: usize,
    },
}

/// Adds an error for each name that is given twice in an object, and for each number that would not
/// come back as it was given.
pub(super) fn refuse_what_is_lost(json: &str, field_errors: &mut FieldErrors) {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut rest = json;
    while let Some((token, behind)) = split_token(rest) {
        if field_errors.is_full() {
            return;
        }
        rest = behind;
        match token.as_bytes()[0] {
            b'{' => open.push(Open::Object {
                names: HashSet::new(),
                name: Cow::Borrowed(""),
                is_at_name: true,
            }),
            b'[' => open.push(Open::List { index: 0 }),
            b'}' | b']' => {
                open.pop();
            }
            b',' => match open.last_mut() {
                Some(Open::Object { is_at_name, .. }) => *is_at_name = true,
                Some(Open::List { index }) => *index += 1,
                None => {}
            },
            b'"' => {
                if let Some(twice) = open.last_mut().and_then(|it| it.begin(token)) {
                    let path = path_of(&open[..open.len() - 1], &twice);
                    field_errors.add(path, "is given twice");
                }
            }
            b'-' | b'0'..=b'9' if !is_kept(token) => {
                field_errors.add(
                    path_of(&open, ""),
                    "is a number that cannot be kept exactly; send it as a text",
                );
            }
            _ => {}
        }
    }
}

impl<'a> Open<'a> {
    /// Takes a text for the name that comes next, if one does; the name, if it was there before.
    fn begin(&mut self, token: &'a str) -> Option<Cow<'a, str>> {
        let Self::Object {
            names,
            name,
            is_at_name: is_at_name @ true,
        } = self
        else {
            return None;
        };
        *is_at_name = false;
        *name = unquoted(token);
        (!names.insert(name.clone())).then(|| name.clone())
    }
}

/// The path of the value that comes, with `last` as its last part.
fn path_of(open: &[Open<'_>], last: &str) -> String {
    let mut path = String::new();
    let name_in = |path: &mut String, name: &str| {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
    };
    for it in open {
        match it {
            Open::Object { name, .. } => name_in(&mut path, name),
            // Writing into a text cannot fail.
            Open::List { index } => drop(write!(path, "[{index}]")),
        }
    }
    if !last.is_empty() {
        name_in(&mut path, last);
    }
    if path.is_empty() {
        path.push_str("body");
    }
    path
}

/// Reports whether a number comes back with the value that it was given with, from both stores:
/// PostgreSQL writes it without an exponent.
fn is_kept(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let read = |text: &str| serde_json::from_str::<f64>(text).ok();
    let Some(value) = read(number) else {
        // No double at all, which the parser says better.
        return true;
    };
    let is_same = |text: &str| read(text).is_some_and(|other| other.total_cmp(&value).is_eq());
    let written = serde_json::to_string(&value).unwrap_or_default();
    decimal(number) == decimal(&written) && is_same(&written) && is_same(&value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &str) -> Vec<(String, String)> {
        let mut field_errors = FieldErrors::default();
        refuse_what_is_lost(json, &mut field_errors);
        let errors = field_errors.into_errors().into_iter();
        errors.map(|it| (it.field, it.message)).collect()
    }

    #[test]
    fn numbers_are_kept_exactly_or_refused() {
        let cases = [
            ("0", true),
            ("-0", true),
            ("-0.0", true),
            ("0e999999999999999999999", true),
            ("42", true),
            ("9007199254740993", true),
            ("-9223372036854775808", true),
            ("18446744073709551615", true),
            ("18446744073709551616", false),
            ("-9223372036854775809", false),
            ("12345678901234567890123", false),
            ("0.1", true),
            ("1.50", true),
            ("19.99", true),
            ("-3.14159", true),
            ("1e2", true),
            ("1E+2", true),
            ("1.5e-7", true),
            ("100000000000000000000", true),
            ("0.1000000000000000055511151231257827", false),
            ("9007199254740993.5", false),
            ("1e-400", false),
            ("1e-99999999999999999999", false),
        ];
        for (number, kept) in cases {
            assert_eq!(is_kept(number), kept, "{number}");
            let found = faults(&format!(r#"{{"a": [true, {{"b": {number}}}]}}"#));
            let field = found.first().map(|(field, _)| field.as_str());
            assert_eq!(field, (!kept).then_some("a[1].b"), "{number}");
        }
    }

    #[test]
    fn a_name_is_given_once_in_each_object() {
        let cases: [(&str, &[&str]); 10] = [
            (r#"{"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 2}]}"#, &[]),
            (r#"{"a": "a", "b": "a", "c": ["a", "a"]}"#, &[]),
            (r#"{"a": 1, "a": 1}"#, &["a"]),
            (r#"{"a": 1, "\u0061": 2}"#, &["a"]),
            (r#"{"m": {"a": {"b": 1}, "c": [], "a": 2}}"#, &["m.a"]),
            (r#"{"m": [{}, {"x": 1, "x": 2, "x": 3}]}"#, &["m[1].x"]),
            (r#"{"\"": 1, "\\": 2, "\\\"": 3}"#, &[]),
            (r#"{"\\": 1, "b": 2, "\\": 3}"#, &["\\"]),
            (r#"{"": 1, "": 2}"#, &["body"]),
            (r#"{"a,{": "}]", "é": 1, "a,{": 2}"#, &["a,{"]),
        ];
        for (json, fields) in cases {
            let found = faults(json);
            let found: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
            assert_eq!(found, fields, "{json}");
        }
    }

    #[test]
    fn what_is_no_object_is_looked_through_too() {
        assert_eq!(faults("1e-400")[0].0, "body");
        assert_eq!(faults("[1, 18446744073709551616]")[0].0, "[1]");
        assert!(faults("[[[[]]]]").is_empty());
    }
}
