//! The description of the API for programs, `/openapi.json`, and for people, `/docs`: Swagger UI,
//! whose files are part of this program, in the archive that its makers publish.
//!
//! The pages may load nothing from elsewhere. Their own files name no other host, Swagger UI's
//! validation by a server of its makers is turned off, and the policy below makes browsers refuse
//! whatever a later version might try.

mod archive;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::Extension;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use super::error::ApiError;
use super::{AppState, ValidPath, openapi};

/// A policy that allows only our own files. Swagger UI needs inline styles, and images in its style
/// sheet.
const ONLY_OURS: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

/// The text that describes the API.
#[derive(Clone, Copy)]
struct Description(fn() -> &'static str);

pub(super) fn router(description: fn() -> &'static str) -> OpenApiRouter<AppState> {
    // The pages are for people and therefore not part of the description.
    let routes = OpenApiRouter::default()
        .routes(routes!(document))
        .route("/docs", get(enter))
        .route("/docs/", get(start))
        .route("/docs/{*file}", get(file))
        .layer(Extension(Description(description)));
    openapi::resource("description", "This description.", routes)
}

/// Shows this description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value))
)]
async fn document(Extension(Description(text)): Extension<Description>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], text())
}

async fn enter() -> Redirect {
    Redirect::to("/docs/")
}

async fn start() -> Result<Response, ApiError> {
    page("index.html")
}

async fn file(ValidPath(file): ValidPath<String>) -> Result<Response, ApiError> {
    page(&file)
}

fn page(name: &str) -> Result<Response, ApiError> {
    // Unpacked when somebody first looks, which on most servers nobody does.
    static FILES: LazyLock<BTreeMap<String, Bytes>> =
        LazyLock::new(|| archive::unpack(SWAGGER_UI_VENDORED));
    let file = match name {
        "swagger-initializer.js" => Bytes::from_static(include_bytes!("docs/initializer.js")),
        _ => FILES.get(name).cloned().ok_or_else(|| {
            ApiError::not_found("file_unknown", "the documentation has no such file")
        })?,
    };
    let content_type = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html",
        Some((_, "css")) => "text/css",
        Some((_, "js")) => "text/javascript",
        Some((_, "png")) => "image/png",
        _ => "application/octet-stream",
    };
    let headers = [
        (CONTENT_SECURITY_POLICY, ONLY_OURS),
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
    ];
    Ok((headers, file).into_response())
}
