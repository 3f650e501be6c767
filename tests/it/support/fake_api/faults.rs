//! What goes wrong between a provider and those who ask it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use super::response;

/// What happens to an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Another status, and how many seconds to wait.
    Status(u16, Option<u64>),
    /// It takes this long.
    Slow(Duration),
    /// It ends in the middle.
    Cut,
    /// It is no JSON.
    Garbled,
}

/// Answers, or does not.
pub(super) async fn respond(
    fault: Option<Fault>,
    status: StatusCode,
    body: Value,
    date: impl Fn() -> String,
) -> Response {
    let text = body.to_string();
    match fault {
        None => response(status, &date(), text.into()),
        Some(Fault::Status(status, wait)) => {
            let status = StatusCode::from_u16(status).unwrap();
            let body = r#"{"error":{"type":"api_error","code":"fault"}}"#;
            let mut response = response(status, &date(), body.into());
            if let Some(wait) = wait {
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
            }
            response
        }
        Some(Fault::Slow(time)) => {
            tokio::time::sleep(time).await;
            response(status, &date(), text.into())
        }
        Some(Fault::Cut) => {
            let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
            let parts = [
                Ok(half),
                Err(std::io::Error::other("the connection is cut")),
            ];
            let body = Body::from_stream(futures::stream::iter(parts));
            response(status, &date(), body)
        }
        Some(Fault::Garbled) => response(status, &date(), "<html>".into()),
    }
}
