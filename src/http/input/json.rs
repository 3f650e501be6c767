//! JSON bodies, parsed with all their errors.
//!
//! serde stops at the first wrong field, but a person who filled in a form wants to see all errors.
//! So after an error the field is removed, or replaced by a value of another type, until the rest
//! can be parsed. The result of such a patched body is only used to find further errors.

use std::fmt::Write;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use serde_path_to_error::Segment;

use super::exact::refuse_what_is_lost;
use crate::domain::customer::profile::ProfileChange;
use crate::domain::validate::FieldError;
use crate::http::error::ApiError;
use crate::http::field_errors::{FieldErrors, field_error, named};

/// Maximum number of errors that are searched for: each costs another parse of the body.
const MAX_ERRORS: usize = 20;

/// Rules for the content of a body, beyond its form.
pub(in crate::http) trait Check {
    /// Returns the errors of single fields.
    fn field_errors(&self) -> Vec<FieldError>;
}

impl Check for ProfileChange {
    fn field_errors(&self) -> Vec<FieldError> {
        self.errors()
    }
}

/// Parses JSON as `T`.
///
/// # Errors
/// 400 `body_not_json`; 422 `body_invalid` with the fields.
pub(in crate::http) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let (read, field_errors) = read::<T>(bytes)?;
    field_errors.finish(read)
}

/// Like [`parse_json`], and checks the body's own rules.
pub(super) fn parse_checked<T: DeserializeOwned + Check>(bytes: &[u8]) -> Result<T, ApiError> {
    let (read, mut field_errors) = read::<T>(bytes)?;
    field_errors.extend(read.iter().flat_map(Check::field_errors));
    field_errors.finish(read)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(Option<T>, FieldErrors), ApiError> {
    // First check that all of it is JSON: with a missing brace, a wrong field before it is not the
    // caller's first problem.
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| not_json(&error))?;
    let mut field_errors = FieldErrors::default();
    if let Ok(text) = std::str::from_utf8(bytes) {
        refuse_what_is_lost(text, &mut field_errors);
    }
    // A derived deserializer would accept a list instead of an object, by position.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        field_errors.add("body", "must be a JSON object");
        return Ok((None, field_errors));
    }
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let first = match serde_path_to_error::deserialize(&mut text) {
        Ok(read) if !holds_nul(bytes) => return Ok((Some(read), field_errors)),
        Ok(_) => None,
        Err(error) => Some(ParseError::of(&error)),
    };
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| not_json(&error))?;
    refuse_nul(&value, &mut String::new(), &mut field_errors);
    // Only the text shows that a field is given twice.
    field_errors.extend(
        first
            .filter(ParseError::is_repetition)
            .map(|error| error.to_field_error()),
    );
    let read = parse_leniently(&mut value, &mut field_errors);
    Ok((read, field_errors))
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::BadRequest {
        code: "body_not_json",
        detail: format!("the body is not JSON: {error}").into(),
    }
}

/// An error of serde, and the path to it.
struct ParseError {
    path: String,
    segments: Option<Vec<Segment>>,
    message: String,
}

impl ParseError {
    fn of(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let message = error.inner().to_string();
        // serde_json appends the position in the text, which is less helpful than the path.
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(message, _)| message)
            .to_owned();
        let mut segments: Vec<Segment> = error.path().iter().cloned().collect();
        if let Some((name, _)) = named(&message) {
            let last = segments.last().map(ToString::to_string);
            if last.as_deref() != Some(name) {
                let key = name.to_owned();
                segments.push(Segment::Map { key });
            }
        }
        let is_known = |it: &Segment| matches!(it, Segment::Map { .. } | Segment::Seq { .. });
        Self {
            path: error.path().to_string(),
            segments: Some(segments).filter(|segments| segments.iter().all(is_known)),
            message,
        }
    }

    fn to_field_error(&self) -> FieldError {
        field_error(&self.path, &self.message)
    }

    fn is_repetition(&self) -> bool {
        self.message.starts_with("duplicate field")
    }
}

fn attempt<T: DeserializeOwned>(value: &Value) -> Result<T, ParseError> {
    serde_path_to_error::deserialize(value).map_err(|error| ParseError::of(&error))
}

/// Parses what can be parsed, collecting errors and patching the value to continue after each.
fn parse_leniently<T: DeserializeOwned>(
    value: &mut Value,
    field_errors: &mut FieldErrors,
) -> Option<T> {
    let mut error = match attempt::<T>(value) {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    while field_errors.count() < MAX_ERRORS {
        let field = error.to_field_error().field;
        field_errors.extend([error.to_field_error()]);
        match patch::<T>(value, error.segments.as_deref()?, &field)? {
            Ok(read) => return Some(read),
            Err(next) => error = next,
        }
    }
    None
}

/// Removes a field, or replaces it by a value of another type, so that serde gets past it; `None`
/// if nothing helps.
fn patch<T: DeserializeOwned>(
    value: &mut Value,
    segments: &[Segment],
    field: &str,
) -> Option<Result<T, ParseError>> {
    let instead = [
        None,
        Some(json!("")),
        Some(json!(0)),
        Some(json!(false)),
        Some(json!([])),
        Some(json!({})),
    ];
    for other in instead {
        put(value, segments, other)?;
        match attempt::<T>(value) {
            Ok(read) => return Some(Ok(read)),
            Err(next) if !is_within(&next.to_field_error().field, field) => return Some(Err(next)),
            Err(_) => {}
        }
    }
    None
}

/// Reports whether a path is that of this field, or of something inside it.
fn is_within(path: &str, field: &str) -> bool {
    path.strip_prefix(field)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Replaces the value at a path; `None` removes it.
fn put(value: &mut Value, segments: &[Segment], other: Option<Value>) -> Option<()> {
    let (last, ancestors) = segments.split_last()?;
    let mut at = value;
    for step in ancestors {
        at = match step {
            Segment::Map { key } => at.get_mut(key)?,
            Segment::Seq { index } => at.get_mut(index)?,
            Segment::Enum { .. } | Segment::Unknown => return None,
        };
    }
    match (last, at, other) {
        (Segment::Map { key }, Value::Object(fields), Some(other)) => {
            fields.insert(key.clone(), other);
        }
        (Segment::Map { key }, Value::Object(fields), None) => {
            fields.remove(key);
        }
        // Nothing is removed from a list: the following items would be named by wrong indexes.
        (Segment::Seq { index }, Value::Array(rows), other) => {
            *rows.get_mut(*index)? = other.unwrap_or_default();
        }
        _ => return None,
    }
    Some(())
}

/// Reports whether the text may contain the character U+0000, which JSON writes in only one way.
fn holds_nul(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|it| it == br"\u0000")
}

/// Refuses the character U+0000 in every field, because PostgreSQL cannot store it. `path` is the
/// path of the value: one string for the whole traversal, since a name in it may be as long as the
/// body.
fn refuse_nul(value: &Value, path: &mut String, field_errors: &mut FieldErrors) {
    let message = "must not contain the character U+0000";
    if field_errors.is_full() {
        return;
    }
    let outer = path.len();
    match value {
        Value::String(text) if text.contains('\0') => field_errors.add(path.as_str(), message),
        Value::Array(rows) => {
            for (index, row) in rows.iter().enumerate() {
                // Writing into a text cannot fail.
                let _ = write!(path, "[{index}]");
                refuse_nul(row, path, field_errors);
                path.truncate(outer);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                if name.contains('\0') {
                    let outer_path = if outer == 0 { "body" } else { path.as_str() };
                    field_errors.add(outer_path, message);
                    continue;
                }
                if outer > 0 {
                    path.push('.');
                }
                path.push_str(name);
                refuse_nul(value, path, field_errors);
                path.truncate(outer);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether they can be read matters")]
    struct Order {
        name: String,
        lines: Option<Vec<Line>>,
        note: Option<Value>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether they can be read matters")]
    struct Line {
        package: String,
        count: u8,
    }

    #[test]
    fn all_errors_in_a_body_are_named_by_field() {
        let cases: [(&str, &str, &[&str]); 19] = [
            ("", "body_not_json", &[]),
            ("{", "body_not_json", &[]),
            (r#"{"other": 1, "#, "body_not_json", &[]),
            (r#"{"name": "a"} x"#, "body_not_json", &[]),
            ("[]", "body_invalid", &["body"]),
            ("{}", "body_invalid", &["name"]),
            (r#"{"name": 1}"#, "body_invalid", &["name"]),
            (r#"{"name": null}"#, "body_invalid", &["name"]),
            (r#"{"name": "a", "nmae": 1}"#, "body_invalid", &["nmae"]),
            (r#"{"name": "a", "name": "b"}"#, "body_invalid", &["name"]),
            (
                r#"{"nmae": 1, "lnies": 2, "lines": 3}"#,
                "body_invalid",
                &["lines", "lnies", "name", "nmae"],
            ),
            (
                r#"{"name": "a", "lines": [{"package": "p"}]}"#,
                "body_invalid",
                &["lines[0].count"],
            ),
            (
                r#"{"name": "a", "lines": [{"package": "p", "count": 1, "x": 2}]}"#,
                "body_invalid",
                &["lines[0].x"],
            ),
            (
                r#"{"name": "a", "lines": [{"package": "p", "count": 256}]}"#,
                "body_invalid",
                &["lines[0].count"],
            ),
            (
                r#"{"name": 1, "lines": [{"package": 2}, {"count": "3", "x": 4}]}"#,
                "body_invalid",
                &[
                    "lines[0].count",
                    "lines[0].package",
                    "lines[1].count",
                    "lines[1].package",
                    "lines[1].x",
                    "name",
                ],
            ),
            (r#"{"name": "a\u0000b"}"#, "body_invalid", &["name"]),
            (
                r#"{"name": "a", "note": {"b": ["c", {"d": "\u0000"}]}, "x": 1}"#,
                "body_invalid",
                &["note.b[1].d", "x"],
            ),
            (
                r#"{"name": "a", "note": {"\u0000": 1}}"#,
                "body_invalid",
                &["note"],
            ),
            (r#"{"\u0000": 1}"#, "body_invalid", &["body", "name", "\0"]),
        ];
        for (body, code, fields) in cases {
            let error = parse_json::<Order>(body.as_bytes()).unwrap_err();
            assert_eq!(error.code(), code, "{body}");
            let errors = match error {
                ApiError::Invalid { errors, .. } => errors,
                _ => Vec::new(),
            };
            let mut named: Vec<&str> = errors.iter().map(|it| it.field.as_str()).collect();
            named.sort_unstable();
            let mut expected = fields.to_vec();
            expected.sort_unstable();
            assert_eq!(named, expected, "{body}: {errors:?}");
            assert!(
                !errors.iter().any(|e| e.message.contains(" line ")),
                "{errors:?}"
            );
        }
        assert!(parse_json::<Order>(br#"{"name": "a", "note": "\\u0000"}"#).is_ok());
    }

    #[test]
    fn the_search_for_errors_in_a_body_is_limited() {
        let lines = vec![json!({}); 1_000];
        let body = json!({"name": "a", "lines": lines}).to_string();
        let error = parse_json::<Order>(body.as_bytes()).unwrap_err();
        let ApiError::Invalid { errors, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(errors.len(), MAX_ERRORS);
    }

    /// A name of 200 KB before each of 60,000 places would be twelve gigabytes of paths.
    #[test]
    fn an_answer_is_no_larger_than_what_it_refuses() {
        let name = "n".repeat(200_000);
        let nuls = vec![r#""\u0000""#; 60_000].join(",");
        let body =
            format!(r#"{{"name": "a", "note": {{"{name}": [{nuls}]}}, "{name}": [{nuls}]}}"#);
        let error = parse_json::<Order>(body.as_bytes()).unwrap_err();
        let ApiError::Invalid { errors, .. } = error else {
            panic!("{error:?}");
        };
        let size = |it: &FieldError| it.field.len() + it.message.len();
        let size: usize = errors.iter().map(size).sum();
        assert!(size < 64 * 1024, "{size} bytes");
    }
}
