//! A limit on how many read the API and the console at once.
//!
//! One pool of connections to the store serves them, webhooks where the queue is built in, the worker and
//! the health checks. A list over millions of rows takes seconds, and some of them at once, as of a script
//! that asks for many pages, would keep everybody else waiting.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::ApiError;

/// Half of the connections of a process.
const AT_ONCE: usize = 6;

/// The longest wait for a place: that of a free connection to the store, which would be the next.
const WAIT: Duration = Duration::from_secs(4);

/// The places of readers. Cheap to clone; all clones share them.
#[derive(Clone)]
pub(super) struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Readers {
    /// Answers a request that reads when a place is free, and any other at once.
    pub(super) async fn run(&self, request: Request, next: Next) -> Result<Response, ApiError> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(next.run(request).await);
        }
        match timeout(WAIT, self.0.acquire()).await {
            Ok(Ok(_place)) => Ok(next.run(request).await),
            Ok(Err(_)) | Err(_) => Err(ApiError::Unavailable { cause: None }),
        }
    }
}

/// Limits the readers of the API.
pub(super) async fn of_api(
    State(readers): State<Readers>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    readers.run(request, next).await
}
