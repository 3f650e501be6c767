//! `Location` of what was made.

use axum::http::HeaderValue;
use axum::http::header::LOCATION;
use axum::response::{IntoResponseParts, ResponseParts};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands in a part of a path as it is (RFC 3986 section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The path of what was made. It names no host: only the caller knows by which one we are reached.
pub(super) struct Location(String);

impl Location {
    /// The path of something below a collection, such as `/api/v1/customers`.
    pub(super) fn below<'a>(
        collection: impl Into<String>,
        parts: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut path = collection.into();
        for part in parts {
            path.push('/');
            path.extend(utf8_percent_encode(part, ESCAPED));
        }
        Self(path)
    }

    /// The path of something below `/api/v1`.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::below("/api/v1", parts)
    }
}

impl IntoResponseParts for Location {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut answer: ResponseParts) -> Result<ResponseParts, Self::Error> {
        // Escaped, a path is always a header.
        if let Ok(path) = HeaderValue::from_str(&self.0) {
            answer.headers_mut().insert(LOCATION, path);
        }
        Ok(answer)
    }
}
