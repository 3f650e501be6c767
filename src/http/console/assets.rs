//! The files of the pages, which are part of this program.

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::place::VERSION;
use super::refusal::Refusal;
use crate::http::AppState;

/// The style sheet, which customers' own pages have too.
pub(in crate::http) const STYLE: &[u8] = include_bytes!("assets/console.css");

/// The files, by name. htmx is as its makers publish it in the npm registry, with its licence.
const FILES: [(&str, &str, &[u8]); 5] = [
    ("console.css", "text/css", STYLE),
    (
        "console.js",
        "text/javascript",
        include_bytes!("assets/console.js"),
    ),
    (
        "htmx.min.js",
        "text/javascript",
        include_bytes!("assets/htmx.min.js"),
    ),
    (
        "htmx.LICENSE",
        "text/plain",
        include_bytes!("assets/htmx.LICENSE"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_bytes!("assets/icon.svg"),
    ),
];

/// For as long as the address is the same, which names the version of this program.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/assets/{version}/{file}", get(file))
}

async fn file(Path((version, name)): Path<(String, String)>) -> Response {
    let found = FILES.iter().find(|(known, _, _)| *known == name);
    match found.filter(|_| version == VERSION) {
        Some((_, content_type, bytes)) => {
            let content_type = HeaderValue::from_static(content_type);
            let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, FOR_GOOD)];
            (headers, *bytes).into_response()
        }
        None => Refusal::no_such_page().into_response(),
    }
}
