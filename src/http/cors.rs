//! Calls by pages of other origins.
//!
//! A browser lets them read answers only from a server that names their origin. Cookies never come
//! along: a page that may call the API has a token of its own.

use std::time::Duration;

use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};
use super::request_id::X_REQUEST_ID;
use super::state::HttpSettings;

/// How long browsers remember what is allowed. Chromium remembers nothing for longer than two hours.
const REMEMBERED: Duration = Duration::from_hours(1);

/// The layer that names the origins of the settings to browsers; `None` if there are none, or this
/// process does not serve the API.
pub(super) fn layer(settings: &HttpSettings) -> Option<CorsLayer> {
    if !settings.roles.api || settings.cors_origins.is_empty() {
        return None;
    }
    let origins = settings
        .cors_origins
        .iter()
        .filter_map(|it| HeaderValue::from_str(it).ok());
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let sent: [HeaderName; 6] = [
        AUTHORIZATION,
        CONTENT_TYPE,
        IDEMPOTENCY_KEY,
        IF_MATCH,
        IF_NONE_MATCH,
        X_REQUEST_ID,
    ];
    let read: [HeaderName; 5] = [
        ETAG,
        IDEMPOTENCY_REPLAYED,
        LOCATION,
        RETRY_AFTER,
        X_REQUEST_ID,
    ];
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods(methods)
        .allow_headers(sent)
        .expose_headers(read)
        .max_age(REMEMBERED);
    Some(layer)
}
