//! The rules for the head of a request that the HTTP library leaves to its users.

use axum::extract::{ConnectInfo, Request};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Version};
use std::net::SocketAddr;

use super::error::ApiError;
use super::limits;

/// Checks the head of a request.
///
/// # Errors
/// 400 `host_invalid`, 414 `uri_too_long`, 431 `headers_too_large`.
pub(super) fn check(request: &Request) -> Result<(), ApiError> {
    let uri = request.uri().path_and_query();
    if uri.is_some_and(|uri| uri.as_str().len() > limits::URI) {
        return Err(ApiError::UriTooLong);
    }
    if size_of(request.headers()) > limits::HEADERS {
        return Err(ApiError::HeadersTooLarge);
    }
    // Only HTTP/1.1 demands the header; and what comes over no connection, as in tests that call
    // the router directly, has no version either.
    let is_sent = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .is_some();
    let demanded = is_sent && request.version() == Version::HTTP_11;
    check_host(request.headers(), demanded)
}

/// Returns the size of headers as they are sent, in bytes: each line has a colon, a blank and a line
/// break.
fn size_of(headers: &HeaderMap) -> usize {
    let line = |(name, value): (&axum::http::HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + 4
    };
    headers.iter().map(line).sum()
}

/// Requires exactly one `Host` that can be one (RFC 9112, section 3.2). Two proxies that read two
/// different ones would not agree on whose request it is.
fn check_host(headers: &HeaderMap, demanded: bool) -> Result<(), ApiError> {
    let mut sent = headers.get_all(HOST).iter();
    let detail = match (sent.next(), sent.next()) {
        (None, _) if demanded => "the header `Host` is missing",
        (Some(_), Some(_)) => "there are two headers `Host`",
        (Some(host), None) if !is_host(host) => "the header `Host` is not a host",
        (None | Some(_), None) | (None, Some(_)) => return Ok(()),
    };
    Err(ApiError::BadRequest {
        code: "host_invalid",
        detail: detail.into(),
    })
}

/// Reports whether a text is a host, perhaps with a port. Empty is allowed: it is what a client
/// sends that asks for something without a host (RFC 9110, section 7.2).
fn is_host(host: &HeaderValue) -> bool {
    let host = host.as_bytes();
    host.is_empty() || (Authority::try_from(host).is_ok() && !host.contains(&b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_demanded_and_two_are_refused() {
        let cases: [(&[&str], bool, bool); 11] = [
            (&["tollgate.example"], true, true),
            (&["tollgate.example:8443"], true, true),
            (&["[2001:db8::1]:80"], true, true),
            (&["192.0.2.1"], true, true),
            (&[""], true, true),
            (&[], true, false),
            (&[], false, true),
            (&["a.example", "a.example"], true, false),
            (&["a.example", "b.example"], false, false),
            (&["me@a.example"], true, false),
            (&["a.example/path"], true, false),
        ];
        for (lines, demanded, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HOST, HeaderValue::from_static(line));
            }
            let checked = check_host(&headers, demanded);
            assert_eq!(checked.is_ok(), expected, "{lines:?} {demanded}");
        }
    }
}
