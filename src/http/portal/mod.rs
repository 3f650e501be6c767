//! Customers' own pages, `/portal/{link}`: what they may know of their access, in plain words, and
//! their tokens to rotate. Nothing else.
//!
//! The link is all that opens a page, so it is what a form proves too: it stands in the form's own
//! address, which no other page knows, and there is no cookie that a browser would send along. Browsers
//! send the address to nobody (`Referrer-Policy`), and search engines are asked not to list it.
//! There is no script at all. The pages are served where the API is, never at the operators' address:
//! customers open them.

pub(in crate::http) mod link;
mod page;
mod place;
mod refusal;
mod rotate;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::AppState;
use super::console::STYLE;
use place::{PLACE, VERSION};
use refusal::Refusal;

/// Our own style sheet, nothing inline, no scripts. Pages may be framed by nobody.
const ONLY_OURS: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// Everything below `/portal`; nothing where this process does not serve the API.
pub(super) fn router(state: &AppState) -> Router<AppState> {
    if !state.settings.roles.api {
        return Router::new();
    }
    let routes = Router::new()
        .route("/style/{version}", get(style))
        .merge(page::router())
        .merge(rotate::router().layer(middleware::from_fn_with_state(state.clone(), rotate::once)))
        .fallback(no_such_page)
        .method_not_allowed_fallback(no_such_page)
        .layer(middleware::map_response(dressed));
    Router::new().nest(PLACE, routes)
}

async fn no_such_page() -> Refusal {
    Refusal::Unknown
}

async fn style(Path(version): Path<String>) -> Response {
    if version != VERSION {
        return Refusal::Unknown.into_response();
    }
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css")),
        (CACHE_CONTROL, kept),
    ];
    (headers, STYLE).into_response()
}

/// Adds what holds for all pages.
async fn dressed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, ONLY_OURS);
    let none = HeaderValue::from_static("no-referrer");
    headers.insert(REFERRER_POLICY, none);
    headers.insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex, nofollow"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}
