//! The layers around every request: its id, its span, and the handling of panics.

use std::any::Any;
use std::fmt;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::task::JoinHandle;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::error::ApiError;
use crate::random;

/// The header of a request's id, in requests and answers.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The maximum length of an accepted id, in bytes. A UUID has 36, a trace id 55.
const MAX_REQUEST_ID: usize = 64;

tokio::task_local! {
    /// The id of the request that this task serves. Task-local, so that it need not be passed
    /// through functions that know nothing of HTTP.
    static REQUEST_ID: RequestId;
}

/// The id of one request, in its answer, in problem documents and in the log.
#[derive(Clone, Debug)]
struct RequestId(String);

impl RequestId {
    /// Returns the sender's id, or a new one. The sender's id goes into log lines and headers, so
    /// only short ones of harmless characters are accepted.
    fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
        let sane = |id: &&str| {
            (1..=MAX_REQUEST_ID).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b))
        };
        Self(sent.filter(sane).map_or_else(new_id, str::to_owned))
    }

    fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes an id of 128 random bits. Without randomness the id is all zeros, and the request is
/// served all the same.
fn new_id() -> String {
    hex::encode(random::bytes::<16>().unwrap_or_default())
}

/// Returns the id of the request that is being served; `None` outside of [`surround`].
pub(super) fn request_id() -> Option<String> {
    REQUEST_ID.try_with(|id| id.0.clone()).ok()
}

/// Spawns work of this request that goes on even when the sender hangs up.
pub(super) fn detach<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let work = work.in_current_span();
    match REQUEST_ID.try_with(Clone::clone) {
        Ok(id) => tokio::spawn(REQUEST_ID.scope(id, work)),
        Err(_) => tokio::spawn(work),
    }
}

/// Puts the layers of this file around everything that is served.
pub(super) fn around(router: Router) -> Router {
    // The last layer is the outermost, so the answer to a panic gets its request id too.
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(surround))
}

/// The outermost layer: gives the request its id and its span.
async fn surround(request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    // The route as declared, because a path can contain an e-mail address.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let span = tracing::info_span!(
        "http.request.serve",
        request.id = %id,
        http.method = %request.method(),
        http.route = route,
    );
    let mut response = REQUEST_ID
        .scope(id.clone(), next.run(request))
        .instrument(span)
        .await;
    let headers = response.headers_mut();
    if let Some(id) = id.header() {
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
    fn only_a_short_id_of_harmless_characters_is_accepted() {
        let cases = [
            ("3f2b-9A_c.1:2", true),
            ("", false),
            ("with blank", false),
            ("quote\"", false),
            ("line\u{9}feed", false),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
        ];
        for (sent, taken) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(sent).unwrap());
            let id = RequestId::of(&headers).0;
            assert_eq!(id == sent, taken, "{sent:?} became {id:?}");
            assert!(!id.is_empty(), "{sent:?}");
        }
    }

    #[test]
    fn requests_without_an_id_get_different_ones() {
        let headers = HeaderMap::new();
        assert_ne!(RequestId::of(&headers).0, RequestId::of(&headers).0);
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_quotes_nothing() {
        async fn panics() {
            panic!("what the request held");
        }
        let router = around(Router::new().route("/", get(panics)));
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
