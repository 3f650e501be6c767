//! The layers around every request: its id, its span, its figures, and the handling of panics.

use std::any::Any;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use super::error::ApiError;
use super::request_id::X_REQUEST_ID;
use super::{head, input, request_id};
use crate::metrics::RequestMetrics;
use crate::request_context::RequestContext;
use crate::trace;

/// Puts the layers of this file around everything that is served.
pub(super) fn wrap(router: Router, metrics: RequestMetrics) -> Router {
    router.layer(middleware::from_fn_with_state(metrics, serve))
}

/// The outermost layer: gives the request its id and its span, counts it, and answers a panic.
async fn serve(State(metrics): State<RequestMetrics>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let context = Arc::new(context_of(&request));
    let span = tracing::info_span!(
        parent: None,
        "http.request.serve",
        request.id = context.id,
        http.method = context.method,
        http.route = context.route.as_deref(),
    );
    trace::continues(&span, context.traceparent.as_deref());
    // Webhook handlers read or discard the body themselves, so they are spared this allocation.
    let is_webhook = *request.method() == Method::POST
        && (context.route.as_deref()).is_some_and(|it| it.starts_with("/webhooks"));
    let answered = async {
        match head::check(&request) {
            // Caught here and not by a layer of its own, which would put every request and every answer
            // into one more box.
            Ok(()) => {
                let request = if is_webhook {
                    request
                } else {
                    input::discard_unread(request)
                };
                (AssertUnwindSafe(next.run(request)).catch_unwind().await).unwrap_or_else(panicked)
            }
            Err(refusal) => {
                let (parts, body) = request.into_parts();
                input::discard(&parts.headers, body);
                refusal.into_response()
            }
        }
    };
    let mut answered = pin!(Arc::clone(&context).scope(answered));
    // Not by `instrument`, which enters the span once more to drop what is done.
    let mut response = poll_fn(|context| span.in_scope(|| answered.as_mut().poll(context))).await;
    let status = response.status().as_u16();
    let route = context.route.clone();
    metrics.served(context.method, route, status, began.elapsed());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&context.id) {
        headers.insert(X_REQUEST_ID, id);
    }
    // Answers contain personal data and sometimes tokens: a handler must opt in to caching.
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    // An answer may quote what others wrote: no browser may take it for a page.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What errors and log lines say about a request.
fn context_of(request: &Request) -> RequestContext {
    let route = request.extensions().get::<MatchedPath>();
    RequestContext {
        id: request_id::id_of(request.headers()),
        method: name_of(request.method()),
        route: route.map(|it| it.as_str().into()),
        traceparent: request_id::traceparent_of(request.headers()),
    }
}

/// The name of a method for the log and for figures. A sender can make up any, as long as a head.
fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Turns a panic into a 500. The panic's message stays out of the log line, because it may quote
/// the request; the process's panic hook has reported message and location already.
pub(super) fn panicked(_panic: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!(
        error.code = "internal",
        "request failed: its handler panicked"
    );
    ApiError::Internal { cause: None }.into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn the_log_names_no_method_that_a_sender_made_up() {
        assert_eq!(name_of(&Method::PATCH), "PATCH");
        let long = Method::from_bytes(&vec![b'X'; 60_000]).unwrap();
        assert_eq!(name_of(&long), "other");
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_quotes_nothing() {
        async fn panics() {
            panic!("what the request held");
        }
        let metrics = crate::metrics::Metrics::default();
        let router = wrap(Router::new().route("/", get(panics)), metrics.requests);
        let request = Request::builder()
            .header(X_REQUEST_ID, "abc")
            .body(Body::empty());
        let answer = router.oneshot(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[X_REQUEST_ID], "abc");
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        let body = axum::body::to_bytes(answer.into_body(), 4096)
            .await
            .unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "internal");
        assert_eq!(problem["request_id"], "abc");
        assert!(!problem.to_string().contains("held"), "{problem}");
    }
}
