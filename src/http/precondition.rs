//! `ETag`, `If-Match` and `If-None-Match`: a change that is made only if nobody else has changed the same thing since
//! it was read.
//!
//! Tags are compared strongly, as RFC 9110 section 13.1.1 has it: a weak one (`W/"…"`) matches
//! nothing.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponseParts, ResponseParts};
use utoipa::IntoParams;

use super::AppState;
use super::error::ApiError;
use crate::domain::precondition::{Precondition, Stale, StateTag};

/// The tag of what an answer shows.
pub(super) struct Tag(pub(super) StateTag);

impl IntoResponseParts for Tag {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut answer: ResponseParts) -> Result<ResponseParts, Self::Error> {
        // Hexadecimal digits in quotes are always a header.
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.0.as_str())) {
            answer.headers_mut().insert(ETAG, tag);
        }
        Ok(answer)
    }
}

/// What an answer shows, with its tag.
pub(super) type Tagged<T> = (Tag, Json<T>);

/// The states that a request may change, from `If-Match` or `If-None-Match`. Refuses with 400
/// `if_match_invalid` or `if_none_match_invalid`.
pub(super) struct IfMatch(pub(super) Precondition);

/// For the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only the description reads it")]
pub(super) struct IfMatchHeader {
    /// Tags that `ETag` gave, in quotes, or `*` for whatever is there: the change is made only if
    /// one of them is still that of the present state, else the answer is 412.
    #[param(rename = "If-Match", example = "\"6f1ed002ab5595859014ebf0951522d9\"")]
    if_match: Option<String>,
    /// `*` alone: the change is made only if nothing is there yet, else the answer is 412.
    #[param(rename = "If-None-Match", example = "*")]
    if_none_match: Option<String>,
}

impl FromRequestParts<AppState> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        if let Some(none) = parts.headers.get(IF_NONE_MATCH) {
            // Nothing changes what has another tag than one that somebody knows.
            let is_absence = none.as_bytes().trim_ascii() == b"*";
            if !is_absence || parts.headers.contains_key(IF_MATCH) {
                return Err(ApiError::BadRequest {
                    code: "if_none_match_invalid",
                    detail: "the header `If-None-Match` must be `*`, and be without `If-Match`"
                        .into(),
                });
            }
            return Ok(Self(Precondition::Absent));
        }
        let precondition = read(&parts.headers).ok_or(ApiError::BadRequest {
            code: "if_match_invalid",
            detail: "the header `If-Match` must be `*`, or tags in quotes as `ETag` gave them"
                .into(),
        })?;
        Ok(Self(precondition))
    }
}

impl From<Stale> for ApiError {
    fn from(_: Stale) -> Self {
        Self::PreconditionFailed
    }
}

/// Reads the header; `None` if it is malformed.
fn read(headers: &HeaderMap) -> Option<Precondition> {
    let lines: Vec<&[u8]> = headers
        .get_all(IF_MATCH)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.is_empty() {
        return Some(Precondition::None);
    }
    let joined = lines.join(&b',');
    if joined.trim_ascii() == b"*" {
        return Some(Precondition::Exists);
    }
    let mut rest = joined.as_slice();
    let (mut tags, mut any) = (Vec::new(), false);
    loop {
        // Empty members of a list mean nothing (RFC 9110 section 5.6.1.2).
        rest = rest.trim_ascii_start();
        while let Some(behind) = rest.strip_prefix(b",") {
            rest = behind.trim_ascii_start();
        }
        if rest.is_empty() {
            return any.then_some(Precondition::OneOf(tags));
        }
        let strong = rest.strip_prefix(b"W/");
        let is_weak = strong.is_some();
        let quoted = strong.unwrap_or(rest).strip_prefix(b"\"")?;
        let end = quoted.iter().position(|byte| *byte == b'"')?;
        let (tag, behind) = quoted.split_at(end);
        if tag.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return None;
        }
        any = true;
        if !is_weak {
            tags.push(String::from_utf8_lossy(tag).into_owned());
        }
        rest = behind[1..].trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_read_as_http_defines_it() {
        let one_of = |tags: &[&str]| {
            let tags = tags.iter().map(|it| (*it).to_owned()).collect();
            Some(Precondition::OneOf(tags))
        };
        let cases: [(&[&str], Option<Precondition>); 20] = [
            (&[], Some(Precondition::None)),
            (&["*"], Some(Precondition::Exists)),
            (&[" * "], Some(Precondition::Exists)),
            (&["\"a\""], one_of(&["a"])),
            (&["\"a\", \"b\",\"c\""], one_of(&["a", "b", "c"])),
            (&["\"a\"", "\"b\""], one_of(&["a", "b"])),
            (&[",\"a\", ,"], one_of(&["a"])),
            (&["\"a,b\""], one_of(&["a,b"])),
            (&["\"\""], one_of(&[""])),
            (&["W/\"a\", \"b\""], one_of(&["b"])),
            (&["W/\"a\""], one_of(&[])),
            (&[""], None),
            (&[","], None),
            (&["a"], None),
            (&["\"a"], None),
            (&["\"a\" \"b\""], None),
            (&["\"a b\""], None),
            (&["w/\"a\""], None),
            (&["*, \"a\""], None),
            (&["*", "*"], None),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(IF_MATCH, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(read(&headers), expected, "{lines:?}");
        }
    }
}
