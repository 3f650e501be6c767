//! What is wrong with a request, collected so that one answer names all of it.

use std::fmt::Display;
use std::str::FromStr;

use super::error::ApiError;
use crate::domain::time::Timestamp;
use crate::domain::validate::FieldError;

/// Most faults that one answer names. Each new one is compared with all before it, and a megabyte
/// can hold a hundred thousand.
const MOST: usize = 100;

/// Most bytes of a field's path. A name may be as long as a body, and is part of the path of
/// everything within it.
const MOST_PATH: usize = 255;

/// `FieldErrors` by field, up to a number. A field has one: what is wrong with it first.
#[derive(Debug, Default)]
pub(super) struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Notes a fault that no single value shows.
    pub(super) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.push(FieldError::new(field, message));
    }

    /// Notes faults that were found elsewhere.
    pub(super) fn extend(&mut self, field_errors: impl IntoIterator<Item = FieldError>) {
        field_errors.into_iter().for_each(|fault| self.push(fault));
    }

    fn push(&mut self, mut fault: FieldError) {
        fault
            .field
            .truncate(fault.field.floor_char_boundary(MOST_PATH));
        if !self.is_full() && !self.names(&fault.field) {
            self.0.push(fault);
        }
    }

    /// Whether no more faults are noted.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// The same faults, of fields that lie within another.
    pub(super) fn within(mut self, outer: &str) -> Self {
        for fault in &mut self.0 {
            fault.field = format!("{outer}.{}", fault.field);
        }
        self
    }

    /// Whether something is wrong with this field.
    pub(super) fn names(&self, field: &str) -> bool {
        self.0.iter().any(|known| known.field == field)
    }

    /// The faults, one for each field.
    pub(super) fn into_errors(self) -> Vec<FieldError> {
        self.0
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The value, or `None` with its fault noted.
    pub(super) fn note<T>(&mut self, result: Result<T, FieldError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.push(fault);
                None
            }
        }
    }

    /// 422 `body_invalid` if anything is wrong.
    pub(super) fn into_result(self) -> Result<(), ApiError> {
        self.finish(Some(()))
    }

    /// What was read of a body, or 422 with all that is wrong.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, ApiError> {
        match read {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None => Err(ApiError::invalid(self.0)),
        }
    }

    /// What was read of a query, or 422 with all that is wrong.
    pub(super) fn finish_query<T>(self, read: Option<T>) -> Result<T, ApiError> {
        match read {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None => Err(ApiError::invalid_query(self.0)),
        }
    }
}

/// Puts the field's name to what a rule of `validate` says.
pub(super) fn checked<T>(field: &str, result: Result<T, String>) -> Result<T, FieldError> {
    result.map_err(|message| FieldError::new(field, message))
}

/// An instant of a body or query, or what is wrong with it.
pub(super) fn instant(field: &str, text: &str) -> Result<Timestamp, FieldError> {
    Timestamp::parse(text)
        .ok_or_else(|| FieldError::new(field, "must be a time such as 2026-01-31T09:30:00Z"))
}

/// The end of something that is made now.
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

/// A word of a query, read by its own parser, or what is wrong with it.
pub(super) fn word_of<T>(field: &str, word: Option<String>) -> Result<Option<T>, FieldError>
where
    T: FromStr<Err: Display>,
{
    let read = |word: String| word.parse().map_err(|error: T::Err| error.to_string());
    checked(field, word.map(read).transpose())
}

/// A truth value of a query; an empty one says nothing.
pub(super) fn yes_or_no(field: &str, text: Option<&str>) -> Result<Option<bool>, FieldError> {
    match text {
        None | Some("") => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(FieldError::new(field, "must be true or false")),
    }
}

/// What serde says about a field whose name is in its words and not in its path, and what we say.
const NAMED: [(&str, &str); 3] = [
    ("missing field `", "is missing"),
    ("unknown field `", "is not known here"),
    ("duplicate field `", "is given twice"),
];

/// The field that serde names in its words, and what we say of it.
pub(super) fn named(message: &str) -> Option<(&str, &'static str)> {
    NAMED.iter().find_map(|(lead, said)| {
        let (name, _) = message.strip_prefix(lead)?.split_once('`')?;
        Some((name, *said))
    })
}

/// What serde says, at this path.
pub(super) fn field_error(path: &str, message: &str) -> FieldError {
    let path = if path == "." { "" } else { path };
    let Some((name, message)) = named(message) else {
        return FieldError::new(if path.is_empty() { "body" } else { path }, message);
    };
    let last = path.rsplit('.').next().unwrap_or_default();
    let field = match path {
        "" => name.to_owned(),
        _ if last == name => path.to_owned(),
        _ => format!("{path}.{name}"),
    };
    FieldError::new(field, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_names_so_many_faults_and_no_more() {
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
