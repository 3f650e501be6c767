//! Answers that only the client may keep.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Sends a document, or says that it is the one that the client has.
pub(super) fn document(headers: &HeaderMap, body: String) -> Response {
    let tag = hex::encode(&Sha256::digest(body.as_bytes())[..16]);
    if is_known(headers, &tag) {
        unchanged(&tag)
    } else {
        whole(&tag, body)
    }
}

/// True if the client has the document with this tag.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter();
    let known = known.filter_map(|line| line.to_str().ok());
    let mut known = known.flat_map(|line| line.split(',')).map(str::trim);
    known.any(|known| {
        let known = known.strip_prefix("W/").unwrap_or(known);
        known == "*" || known.strip_prefix('"').and_then(|it| it.strip_suffix('"')) == Some(tag)
    })
}

/// Says that a document is the one that the client has.
pub(super) fn unchanged(tag: &str) -> Response {
    tagged(StatusCode::NOT_MODIFIED.into_response(), tag)
}

/// Sends a document.
pub(super) fn whole(tag: &str, body: impl Into<Body>) -> Response {
    let headers = [(CONTENT_TYPE, "application/json")];
    tagged((headers, body.into()).into_response(), tag)
}

fn tagged(mut response: Response, tag: &str) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    private(response)
}

/// Lets only the client keep an answer, because another token gets another one.
pub(super) fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    headers.insert(VARY, HeaderValue::from_static("Authorization"));
    response
}
