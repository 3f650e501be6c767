//! Extractors for the input of a request: its body, its query and its path. The rules for single
//! values are in [`domain::validate`](crate::domain::validate).
//!
//! axum's own extractors answer in plain text and do not distinguish three cases: 415 for a body
//! whose content type is not JSON, 400 for one that is not JSON, and 422 for JSON with wrong
//! content, with the names of the fields.

mod exact;
mod json;
mod leftover;
mod query;

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{
    FromRequest, FromRequestParts, OptionalFromRequest, Path, RawPathParams, Request,
};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::AppState;
use super::body_budget::BodyShare;
use super::error::ApiError;
use super::limits;
use json::parse_checked;
pub(super) use json::{Check, parse_json};
use leftover::{announced, drain, linger};
pub(super) use leftover::{discard, discard_unread};
use query::parse_query;
pub(super) use query::{pairs, pairs_of, read_query, refuse_unknown, take_parameter, written};

/// Reads a whole body, within a size and a time. Its memory is accounted for in `share`.
///
/// # Errors
/// 413 when it is larger than `limit` bytes, 408 when it takes longer than `time`, 400
/// `body_incomplete` when the sender stops in the middle, 503 `too_many_bodies` when there is no
/// memory for it.
pub(super) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    time: Duration,
    share: &mut BodyShare<'_>,
) -> Result<Bytes, ApiError> {
    tokio::time::timeout(time, read_within(headers, body, limit, share))
        .await
        .unwrap_or(Err(ApiError::BodyTooSlow))
}

/// Refuses a body that is announced as larger than `limit` bytes.
///
/// # Errors
/// 413, after some of the body was discarded.
pub(super) async fn refuse_announced(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Body, ApiError> {
    if announced(headers).is_none_or(|length| length <= limit) {
        return Ok(body);
    }
    // A sender that asks before sending (`Expect`) gets the answer before sending, and so does
    // one whose body is too large to be drained.
    let waits = headers.contains_key(EXPECT);
    if !waits && announced(headers).is_some_and(|length| length <= limits::MAX_DISCARDED) {
        drain(body.into_data_stream()).await;
    }
    Err(ApiError::PayloadTooLarge { limit })
}

async fn read_within(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    share: &mut BodyShare<'_>,
) -> Result<Bytes, ApiError> {
    let body = refuse_announced(headers, body, limit).await?;
    let announced = announced(headers);
    // The announced length may be wrong or its bytes may never come, so no memory is reserved for
    // it: the buffer doubles, up to what was announced.
    let most = announced.unwrap_or(limit);
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::BadRequest {
            code: "body_incomplete",
            detail: "the body ended before its end".into(),
        })?;
        let size = bytes.len() + chunk.len();
        if size > limit {
            drain(chunks).await;
            return Err(ApiError::PayloadTooLarge { limit });
        }
        if size > bytes.capacity() {
            let most = if size > limits::SMALL_BODY {
                most
            } else {
                most.min(limits::SMALL_BODY)
            };
            let capacity = (2 * bytes.capacity()).min(most).max(size);
            if let Err(refusal) = share.grow(capacity).await {
                linger(chunks);
                return Err(refusal);
            }
            bytes.reserve_exact(capacity - bytes.len());
        }
        // Copied, because a chunk is a part of the buffer that the connection read it into, and would
        // hold all of that.
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// The headers of a request, and nothing else of it. Moved, where axum's `HeaderMap` is a copy.
#[derive(Clone, Debug)]
pub(super) struct Headers(pub(super) HeaderMap);

impl<S: Sync> FromRequest<S> for Headers {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request.into_parts().0.headers))
    }
}

/// A JSON body, parsed as `T`. As `Option<ValidJson<T>>` it may be missing.
///
/// Refuses with 415 `unsupported_media_type`, 400 `body_not_json` or 422 `body_invalid`; give `T`
/// `#[serde(deny_unknown_fields)]`, so that a misspelt field is named instead of ignored.
#[derive(Clone, Copy, Debug)]
pub struct ValidJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for ValidJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let mut share = state.api_bodies().share();
        parse_json(&json_body(request, state, &mut share).await?).map(Self)
    }
}

/// Like [`ValidJson`], for bodies with rules of their own: one answer names the errors in form and
/// content.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckedJson<T>(pub(super) T);

impl<T: DeserializeOwned + Check> FromRequest<AppState> for CheckedJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let mut share = state.api_bodies().share();
        parse_checked(&json_body(request, state, &mut share).await?).map(Self)
    }
}

async fn json_body(
    request: Request,
    state: &AppState,
    share: &mut BodyShare<'_>,
) -> Result<Bytes, ApiError> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        return Err(ApiError::UnsupportedMediaType);
    }
    let time = state.settings.limits.body_time;
    read_body(&parts.headers, body, limits::API_BODY, time, share).await
}

impl<T: DeserializeOwned> OptionalFromRequest<AppState> for ValidJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Option<Self>, ApiError> {
        let (parts, body) = request.into_parts();
        let time = state.settings.limits.body_time;
        let mut share = state.api_bodies().share();
        let limit = limits::API_BODY;
        let bytes = read_body(&parts.headers, body, limit, time, &mut share).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if !is_json(&parts.headers) {
            return Err(ApiError::UnsupportedMediaType);
        }
        parse_json(&bytes).map(|value| Some(Self(value)))
    }
}

/// Reports whether the content type is JSON: `application/json`, or anything that ends in `+json`.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let essence = content_type
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json"
        || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}

/// The layer around the whole API: a compressed body is refused, whether the handler would read it or
/// not. Bodies of GET mean nothing anywhere.
pub(super) async fn uncompressed(request: Request, next: Next) -> Result<Response, ApiError> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads || request.body().is_end_stream() || !is_compressed(request.headers()) {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    discard(&parts.headers, body);
    Err(ApiError::UnsupportedMediaType)
}

/// Reports whether a body is compressed, which none may be: a kilobyte can become a gigabyte.
pub(super) fn is_compressed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.any(|coding| {
        !coding
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"identity")
    })
}

/// A query string, parsed as `T`. Refuses with 422 `query_invalid`.
#[derive(Clone, Copy, Debug)]
pub struct ValidQuery<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for ValidQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        parse_query(&parts.uri).map(Self)
    }
}

/// The parameters of a path, parsed as `T`. One that cannot be parsed names nothing, so it is 404
/// `not_found`.
#[derive(Clone, Copy, Debug)]
pub struct ValidPath<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for ValidPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let unknown = || ApiError::not_found("not_found", "there is no such thing");
        let raw = RawPathParams::from_request_parts(parts, state).await;
        let raw = raw.map_err(|_| unknown())?;
        // No name contains control characters, and PostgreSQL refuses to search for U+0000.
        if raw.iter().any(|(_, part)| part.contains(char::is_control)) {
            return Err(unknown());
        }
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path)).map_err(|_| unknown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_content_types_are_recognised() {
        let cases = [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/json", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonx", false),
        ];
        for (content_type, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(is_json(&headers), expected, "{content_type}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
