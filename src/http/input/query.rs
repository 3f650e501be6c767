//! Query strings, parsed with all their errors.

use axum::extract::Query;
use axum::http::Uri;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::domain::validate::FieldError;
use crate::http::error::ApiError;
use crate::http::field_errors::{FieldErrors, field_error};

/// Maximum number of errors that are searched for: each costs another parse of the query.
const MAX_ERRORS: usize = 20;

/// Parses a query as `T`. Unknown parameters are refused: a misspelt `version` must not mean every
/// version.
///
/// # Errors
/// 422 `query_invalid` with the parameters.
pub(super) fn parse_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    if let Some(read) = read_right(uri) {
        return Ok(read);
    }
    let mut field_errors = FieldErrors::default();
    refuse_unknown::<T>(uri, &[], &mut field_errors);
    let read = read_query(uri, &mut field_errors);
    field_errors.finish_query(read)
}

/// Parses a query in which nothing is wrong, as nearly all are: the search for all errors reads it several
/// times. `None` if anything may be wrong.
fn read_right<T: DeserializeOwned>(uri: &Uri) -> Option<T> {
    let query = uri.query().unwrap_or_default();
    let known = FieldNames::of::<T>();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let is_right =
        pairs.all(|(name, value)| known.contains(&&*name) && !value.contains(char::is_control));
    if !is_right {
        return None;
    }
    serde_urlencoded::from_str(query).ok()
}

/// Parses what can be parsed of a query, and collects the errors of the rest.
pub(in crate::http) fn read_query<T: DeserializeOwned>(
    uri: &Uri,
    field_errors: &mut FieldErrors,
) -> Option<T> {
    let mut pairs = pairs(uri);
    pairs.retain(|(name, value)| {
        let is_plain = !value.contains(char::is_control);
        if !is_plain {
            field_errors.add(name, "must not contain control characters");
        }
        is_plain
    });
    while field_errors.count() < MAX_ERRORS {
        let Err(error) = Query::<T>::try_from_uri(&written(&pairs)) else {
            break;
        };
        // The source's text is `path: message`, or only the message.
        let words = std::error::Error::source(&error)
            .map_or_else(|| error.body_text(), ToString::to_string);
        let (path, message) = words.split_once(": ").unwrap_or((".", &words));
        let found = field_error(path, message);
        let name = found.field.clone();
        let known = pairs.len();
        field_errors.extend([found]);
        // Without the parameter, or with an empty one if it is missing, the rest can be parsed.
        let mut seen = false;
        pairs.retain(|(other, _)| {
            *other != name
                || (message.starts_with("duplicate") && !std::mem::replace(&mut seen, true))
        });
        if pairs.len() == known {
            if pairs.iter().any(|(other, _)| *other == name) {
                return None;
            }
            pairs.push((name, String::new()));
        }
    }
    Query::try_from_uri(&written(&pairs))
        .ok()
        .map(|Query(read)| read)
}

/// Adds an error for each parameter that is neither a field of `T` nor in `also`.
pub(in crate::http) fn refuse_unknown<T: DeserializeOwned>(
    uri: &Uri,
    also: &[&str],
    field_errors: &mut FieldErrors,
) {
    let known = FieldNames::of::<T>();
    for (name, _) in pairs(uri) {
        if !known.contains(&name.as_str()) && !also.contains(&name.as_str()) {
            field_errors.add(name, "is not known here");
        }
    }
}

/// The parameters of a query, in their order.
pub(in crate::http) fn pairs(uri: &Uri) -> Vec<(String, String)> {
    pairs_of(uri.query().unwrap_or_default())
}

/// The fields of a form, in their order: the same spelling as a query, without its limits.
pub(in crate::http) fn pairs_of(form: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect()
}

/// Writes pairs as a query again.
pub(in crate::http) fn written(pairs: &[(String, String)]) -> Uri {
    let text = |text: &str| {
        let escaped = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(escaped).collect::<String>()
    };
    let pair = |(name, value): &(String, String)| format!("{}={}", text(name), text(value));
    let query: Vec<String> = pairs.iter().map(pair).collect();
    // Letters, digits and escapes are always a valid URI.
    format!("/?{}", query.join("&")).parse().unwrap_or_default()
}

/// Takes a parameter out of the query, so that handlers know only their own.
///
/// # Errors
/// 422 `query_invalid` if it is there twice.
pub(in crate::http) fn take_parameter(
    parts: &mut Parts,
    name: &str,
) -> Result<Option<String>, ApiError> {
    let (mut named, rest): (Vec<_>, Vec<_>) = pairs(&parts.uri)
        .into_iter()
        .partition(|(other, _)| other == name);
    let Some((_, value)) = named.pop() else {
        return Ok(None);
    };
    if !named.is_empty() {
        let error = FieldError::new(name, "is given twice");
        return Err(ApiError::invalid_query(vec![error]));
    }
    let mut uri = parts.uri.clone().into_parts();
    let query = written(&rest);
    let query = query.query().filter(|it| !it.is_empty());
    let query = query.map_or_else(String::new, |it| format!("?{it}"));
    let path: PathAndQuery = format!("{}{query}", parts.uri.path())
        .parse()
        .map_err(ApiError::internal)?;
    uri.path_and_query = Some(path);
    parts.uri = Uri::from_parts(uri).map_err(ApiError::internal)?;
    Ok(Some(value))
}

/// A deserializer that learns the names of a type's fields: derived types pass them to it.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl FieldNames<'_> {
    fn of<T: DeserializeOwned>() -> &'static [&'static str] {
        let mut names: &'static [&'static str] = &[];
        // This always fails: the call itself reports the names.
        let _ = T::deserialize(FieldNames(&mut names));
        names
    }
}

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("has no fields"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(de::Error::custom("is asked for its fields alone"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::domain::role::Role;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Page {
        page: Option<u32>,
        kind: Option<Role>,
    }

    #[derive(Debug, Deserialize)]
    struct Named {
        name: String,
        part: String,
        kind: Option<String>,
    }

    #[test]
    fn all_errors_in_a_query_are_named_by_parameter() {
        let cases: [(&str, &[&str]); 10] = [
            ("/", &[]),
            ("/?page=2&kind=owner", &[]),
            ("/?page=two", &["page"]),
            ("/?page=-1", &["page"]),
            ("/?kind=nobody", &["kind"]),
            ("/?pgae=2", &["pgae"]),
            ("/?page=1&page=2", &["page"]),
            ("/?kind=%00", &["kind"]),
            ("/?kind=nobody&pgae=2&page=x", &["kind", "page", "pgae"]),
            ("/?a=1&b=2&page=1&page=2", &["a", "b", "page"]),
        ];
        for (uri, fields) in cases {
            let read = parse_query::<Page>(&Uri::from_static(uri));
            let mut named = match read {
                Ok(_) => Vec::new(),
                Err(ApiError::Invalid {
                    code: "query_invalid",
                    errors,
                    ..
                }) => errors.into_iter().map(|error| error.field).collect(),
                Err(other) => panic!("{uri}: {other:?}"),
            };
            named.sort();
            assert_eq!(named, fields, "{uri}");
        }
    }

    #[test]
    fn a_query_in_which_nothing_is_wrong_is_read_as_any_other() {
        for uri in [
            "/",
            "/?",
            "/?page=2&kind=owner",
            "/?kind=admin",
            "/?&page=7&",
            "/?pag%65=%37",
        ] {
            let uri = Uri::from_static(uri);
            let read: Page = read_right(&uri).unwrap();
            let searched: Page = read_query(&uri, &mut FieldErrors::default()).unwrap();
            assert_eq!(read, searched, "{uri}");
        }
        let uri = Uri::from_static("/?name=%c3%bc+%26%3d&part=%FF&kind=");
        let read: Named = read_right(&uri).unwrap();
        assert_eq!(
            (read.name.as_str(), read.part.as_str()),
            ("\u{fc} &=", "\u{fffd}")
        );
        assert_eq!(read.kind.as_deref(), Some(""));
        for wrong in ["/?page=two", "/?pgae=2", "/?page=1&page=2", "/?kind=%00"] {
            let read: Option<Page> = read_right(&Uri::from_static(wrong));
            assert_eq!(read, None, "{wrong}");
        }
    }

    #[test]
    fn each_missing_parameter_is_named_and_the_rest_is_read() {
        let mut field_errors = FieldErrors::default();
        let read: Option<Named> =
            read_query(&Uri::from_static("/?kind=a%20%26+b"), &mut field_errors);
        assert!(
            field_errors.names("name") && field_errors.names("part"),
            "{field_errors:?}"
        );
        let read = read.unwrap();
        assert_eq!(read.kind.as_deref(), Some("a & b"));
        assert_eq!((read.name.as_str(), read.part.as_str()), ("", ""));
    }

    #[test]
    fn parameters_are_known_by_the_fields_that_read_them() {
        let mut field_errors = FieldErrors::default();
        let uri = Uri::from_static("/?name=a&nmae=b&page=1&kind=&x");
        refuse_unknown::<Named>(&uri, &["page"], &mut field_errors);
        assert!(
            field_errors.names("nmae") && field_errors.names("x"),
            "{field_errors:?}"
        );
        assert_eq!(field_errors.count(), 2, "{field_errors:?}");
    }
}
