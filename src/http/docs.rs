//! The description of the API for programs, `/openapi.json`, and for people, `/docs`: Swagger UI,
//! whose files are part of this program.
//!
//! The pages may load nothing from elsewhere. Their own files name no other host, Swagger UI's
//! validation by a server of its makers is turned off, and the policy below makes browsers refuse
//! whatever a later version might try.

use std::sync::{Arc, LazyLock};

use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::Config;

use super::error::ApiError;
use super::{AppState, ValidPath, openapi};

/// A policy that allows only our own files. Swagger UI needs inline styles, and images in its style
/// sheet.
const ONLY_OURS: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

pub(super) fn router() -> OpenApiRouter<AppState> {
    // The pages are for people and therefore not part of the description.
    let routes = OpenApiRouter::default()
        .routes(routes!(document))
        .route("/docs", get(enter))
        .route("/docs/", get(start))
        .route("/docs/{*file}", get(file));
    openapi::resource("description", "This description.", routes)
}

/// Shows this description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value))
)]
async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], openapi::document())
}

async fn enter() -> Redirect {
    Redirect::to("/docs/")
}

async fn start() -> Result<Response, ApiError> {
    page("")
}

async fn file(ValidPath(file): ValidPath<String>) -> Result<Response, ApiError> {
    page(&file)
}

fn page(file: &str) -> Result<Response, ApiError> {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        let config = Config::from("/openapi.json");
        Arc::new(config.validator_url("none").try_it_out_enabled(true))
    });
    let found = utoipa_swagger_ui::serve(file, Arc::clone(&CONFIG));
    let found = found.map_err(|error| ApiError::internal(error.to_string()))?;
    let Some(found) = found else {
        let detail = "the documentation has no such file";
        return Err(ApiError::not_found("file_unknown", detail));
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_SECURITY_POLICY, ONLY_OURS);
    if let Ok(content_type) = HeaderValue::from_str(&found.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if found.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok((headers, found.bytes.into_owned()).into_response())
}
