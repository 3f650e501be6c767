//! The dialect of subscription systems with merchants: `/api/customers…`, in camel case.
//!
//! The same functions as in the admin API, in other clothes. The merchant is the app that the
//! token is bound to, or `default`. Deletion is soft, and who was deleted is not found any more.
//! Every refusal, whoever makes it, has the form `{"error": "…"}`: handlers and extractors refuse
//! as everywhere, and one layer around all routes dresses what they say. So nothing can refuse in
//! another form by accident, not even a path or method that does not exist, or a panic.

mod customers;
mod stream;
mod view;

use axum::extract::{MatchedPath, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::error::RefusalBody;
use super::fallback::{no_such_method, no_such_path};
use super::{AppState, idempotency, input, named_app, openapi, readers, request_layer};
use crate::domain::validate::FieldError;
use view::{NOT_FOUND, PLACE};

/// Everything at and below `/api/customers`.
pub(super) fn router(state: &AppState) -> Router<AppState> {
    let once = middleware::from_fn_with_state(state.clone(), idempotency::once);
    let dress = || middleware::from_fn(dressed);
    // Dressed twice: inside, so that a panic is, and an answer that is kept for its repetition;
    // outside, for what the layer that keeps answers refuses by itself.
    let (routes, _) = customers::router().split_for_parts();
    let routes = routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(CatchPanicLayer::custom(request_layer::panicked))
        .layer(dress())
        .route_layer(middleware::from_fn(named_app::located))
        .route_layer(middleware::from_fn_with_state(
            state.readers().clone(),
            readers::of_api,
        ))
        .route_layer(once)
        .route_layer(middleware::from_fn(input::uncompressed))
        .layer(dress());
    // A nested router is not asked about its place with a slash at the end.
    Router::new()
        .nest(PLACE, routes)
        .route(&format!("{PLACE}/"), any(no_such_path).layer(dress()))
}

/// The routes of [`router`], for the description.
pub(super) fn described() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().nest(PLACE, customers::router());
    openapi::refusing::<ErrorBody>(openapi::guarded(routes))
}

/// A refusal.
#[derive(Serialize, ToSchema)]
#[schema(as = MerchantError)]
struct ErrorBody {
    /// A sentence.
    #[schema(examples("Email is required"))]
    error: String,
    /// The faults, field by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

/// A fault of one field.
#[derive(Serialize, ToSchema)]
#[schema(as = MerchantErrorDetail)]
struct Detail {
    field: String,
    message: String,
}

/// Dresses what was refused.
async fn dressed(request: Request, next: Next) -> Response {
    let failed = failed(&request);
    let is_change = !request.method().is_safe();
    let path = request.extensions().get::<MatchedPath>();
    let is_of_one = path.is_some_and(|path| path.as_str().ends_with("{id}"));
    let mut response = next.run(request).await;
    let Some(refusal) = response.extensions_mut().remove::<RefusalBody>() else {
        return response;
    };
    let RefusalBody {
        code,
        detail,
        errors,
    } = refusal;
    // Invalid data is a bad request here. A key that came with another request is not: the data
    // may be right.
    if ["body_invalid", "query_invalid"].contains(&code) {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    let wrong = |error: &FieldError| format!("{} {}", error.field, error.message);
    let is_failure = code == "internal" || (code == "unavailable" && is_change);
    let sentence = if is_failure {
        failed.to_owned()
    } else if is_of_one && response.status() == StatusCode::NOT_FOUND {
        NOT_FOUND.to_owned()
    } else if errors.is_empty() {
        detail.into_owned()
    } else {
        errors.iter().map(wrong).collect::<Vec<_>>().join("; ")
    };
    let details = errors.into_iter().map(|error| Detail {
        field: error.field,
        message: error.message,
    });
    let body = ErrorBody {
        error: sentence,
        details: details.collect(),
    };
    // What the other headers say, such as when to come back, stays true.
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(CONTENT_TYPE, json);
    let body = Json(body).into_response().into_body();
    Response::from_parts(parts, body)
}

/// Names a failure of ours after the operation that failed.
fn failed(request: &Request) -> &'static str {
    let path = request.extensions().get::<MatchedPath>();
    let of_all = path.is_some_and(|path| path.as_str() == PLACE);
    match *request.method() {
        Method::POST if of_all => "Failed to create customer",
        Method::POST => "Failed to update customer",
        Method::DELETE => "Failed to delete customer",
        _ if of_all => "Failed to get customers",
        _ => "Failed to get customer",
    }
}
