//! Collects the errors in the fields of a request, so that one answer names all of them.

use std::fmt::Display;
use std::str::FromStr;

use super::error::ApiError;
use crate::domain::time::{TimeError, Timestamp};
use crate::domain::validate::FieldError;

/// Maximum number of errors in one answer. Each new one is compared with all before it, and a
/// megabyte can contain a hundred thousand.
const MOST: usize = 100;

/// Maximum number of bytes of a field's path. A name may be as long as a body, and is part of the
/// path of everything inside it.
const MOST_PATH: usize = 255;

/// Errors by field, up to [`MOST`]. Each field has only its first error.
#[derive(Debug, Default)]
pub(super) struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Adds an error of a field.
    pub(super) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.push(FieldError::new(field, message));
    }

    /// Adds errors that were found elsewhere.
    pub(super) fn extend(&mut self, field_errors: impl IntoIterator<Item = FieldError>) {
        field_errors.into_iter().for_each(|error| self.push(error));
    }

    fn push(&mut self, mut error: FieldError) {
        error
            .field
            .truncate(error.field.floor_char_boundary(MOST_PATH));
        if !self.is_full() && !self.names(&error.field) {
            self.0.push(error);
        }
    }

    /// Reports whether no more errors are accepted.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Moves the errors to fields inside another field.
    pub(super) fn within(mut self, outer: &str) -> Self {
        for error in &mut self.0 {
            error.field = format!("{outer}.{}", error.field);
        }
        self
    }

    /// Reports whether this field has an error.
    pub(super) fn names(&self, field: &str) -> bool {
        self.0.iter().any(|known| known.field == field)
    }

    /// The faults, one for each field.
    pub(super) fn into_errors(self) -> Vec<FieldError> {
        self.0
    }

    /// Returns the number of errors.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the value, or adds the error and returns `None`.
    pub(super) fn note<T>(&mut self, result: Result<T, FieldError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.push(error);
                None
            }
        }
    }

    /// Returns the value of a field that goes by two names. Both may be given, if they say the same.
    pub(super) fn one_of<T: PartialEq>(
        &mut self,
        (name, value): (&str, Option<T>),
        (other_name, other): (&str, Option<T>),
    ) -> Option<T> {
        if value.is_some() && other.is_some() && value != other {
            let message = format!("is not the same as `{name}`, which means the same");
            self.add(other_name, message);
        }
        value.or(other)
    }

    /// Returns 422 `body_invalid` if there is any error.
    pub(super) fn into_result(self) -> Result<(), ApiError> {
        self.finish(Some(()))
    }

    /// Returns the parsed body, or 422 with all errors.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, ApiError> {
        match read {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None => Err(ApiError::invalid(self.0)),
        }
    }

    /// Returns the parsed query, or 422 with all errors.
    pub(super) fn finish_query<T>(self, read: Option<T>) -> Result<T, ApiError> {
        match read {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None => Err(ApiError::invalid_query(self.0)),
        }
    }
}

/// Attaches the name of the field to an error of `validate`.
pub(super) fn checked<T>(field: &str, result: Result<T, String>) -> Result<T, FieldError> {
    result.map_err(|message| FieldError::new(field, message))
}

/// Parses an instant of a body or a query.
pub(super) fn instant(field: &str, text: &str) -> Result<Timestamp, FieldError> {
    let read = text.parse();
    read.map_err(|error: TimeError| FieldError::new(field, error.to_string()))
}

/// Parses the end of something that is created now.
pub(super) fn end(
    field: &str,
    text: Option<&str>,
    now: Timestamp,
) -> Result<Option<Timestamp>, FieldError> {
    let Some(text) = text else { return Ok(None) };
    let end = instant(field, text)?;
    if end > now {
        Ok(Some(end))
    } else {
        Err(FieldError::new(field, "must lie ahead"))
    }
}

/// Parses an optional word of a query by its own parser.
pub(super) fn word_of<T>(field: &str, word: Option<String>) -> Result<Option<T>, FieldError>
where
    T: FromStr<Err: Display>,
{
    let read = |word: String| word.parse().map_err(|error: T::Err| error.to_string());
    checked(field, word.map(read).transpose())
}

/// Parses a boolean of a query; an empty one counts as missing.
pub(super) fn yes_or_no(field: &str, text: Option<&str>) -> Result<Option<bool>, FieldError> {
    match text {
        None | Some("") => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(FieldError::new(field, "must be true or false")),
    }
}

/// Errors in which serde names the field in the message instead of the path, with our wording.
const NAMED: [(&str, &str); 3] = [
    ("missing field `", "is missing"),
    ("unknown field `", "is not known here"),
    ("duplicate field `", "is given twice"),
];

/// Returns the field that serde names in its message, and our wording of the error.
pub(super) fn named(message: &str) -> Option<(&str, &'static str)> {
    NAMED.iter().find_map(|(lead, wording)| {
        let (name, _) = message.strip_prefix(lead)?.split_once('`')?;
        Some((name, *wording))
    })
}

/// Converts an error of serde at this path.
pub(super) fn field_error(path: &str, message: &str) -> FieldError {
    let path = if path == "." { "" } else { path };
    let Some((name, message)) = named(message) else {
        let path = if path.is_empty() { "body" } else { path };
        return FieldError::new(path, in_words_of_json(message));
    };
    let last = path.rsplit('.').next().unwrap_or_default();
    let field = match path {
        "" => name.to_owned(),
        _ if last == name => path.to_owned(),
        _ => format!("{path}.{name}"),
    };
    FieldError::new(field, message)
}

/// A message of serde about a wrong type, which names ours: whoever sends JSON knows no `u64`.
fn in_words_of_json(message: &str) -> String {
    let Some((found, wanted)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    // What JSON writes is of the right kind, and no place here has room for it.
    let is_too_large = found.starts_with("invalid value: integer `") && !found.contains("`-");
    let wanted = match wanted {
        "u32" if is_too_large => "a whole number, at most 4294967295",
        "i32" if is_too_large => "a whole number, at most 2147483647",
        "i64" if is_too_large => "a whole number, at most 9223372036854775807",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not below 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!("{found}, expected {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_is_named_in_words_of_json() {
        for (message, shown) in [
            (
                "invalid value: integer `-1`, expected u64",
                "invalid value: integer `-1`, expected a whole number, not below 0",
            ),
            (
                "invalid value: integer `99999999999`, expected u32",
                "invalid value: integer `99999999999`, expected a whole number, at most 4294967295",
            ),
            (
                "invalid type: string \"a, expected u8\", expected a sequence",
                "invalid type: string \"a, expected u8\", expected a list",
            ),
            (
                "invalid type: integer `1`, expected struct LineInput",
                "invalid type: integer `1`, expected an object",
            ),
            (
                "invalid type: null, expected a string",
                "invalid type: null, expected a string",
            ),
            ("is wrong", "is wrong"),
        ] {
            assert_eq!(field_error("a.b", message).message, shown);
        }
    }

    #[test]
    fn an_answer_names_a_limited_number_of_errors() {
        let mut field_errors = FieldErrors::default();
        for index in 0..2 * MOST {
            field_errors.add(format!("field{index}"), "is wrong");
        }
        assert_eq!(field_errors.count(), MOST);
        assert!(field_errors.names("field0"));
    }

    #[test]
    fn a_long_path_is_cut_between_characters() {
        let mut field_errors = FieldErrors::default();
        field_errors.add("ä".repeat(MOST_PATH), "is wrong");
        field_errors.add("ä".repeat(MOST_PATH + 1), "is wrong");
        assert_eq!(field_errors.count(), 1, "both begin alike");
        assert!(field_errors.names(&"ä".repeat(MOST_PATH / 2)));
    }
}
