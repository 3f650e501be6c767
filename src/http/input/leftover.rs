//! What is left of a body when the answer is known: it is read and thrown away.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;

use crate::http::limits;

/// Discards the body of a request that is refused by its head, while the answer is under way. A
/// sender whose connection is closed while it still writes usually sees a reset instead of the
/// answer. Nothing is read of a sender that waits for the answer first.
pub(in crate::http) fn discard(headers: &HeaderMap, body: Body) {
    if headers.contains_key(EXPECT) || body.is_end_stream() {
        return;
    }
    linger(body.into_data_stream());
}

pub(super) fn linger(chunks: BodyDataStream) {
    tokio::spawn(tokio::time::timeout(limits::LINGER_TIME, drain(chunks)));
}

/// Reads and discards the rest of a body, up to [`limits::MAX_DISCARDED`].
pub(super) async fn drain(mut chunks: BodyDataStream) {
    let mut left = limits::MAX_DISCARDED;
    while let Some(Ok(chunk)) = chunks.next().await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            return;
        }
    }
}

/// Lets the body of a request be discarded if whoever answers leaves it unread, or a part of it: the
/// connection would be closed behind the answer, without a word of it in the answer, and with it the next
/// request would be lost that the sender has on its way. Nothing is read of a sender that waits for the
/// answer before it sends anything.
pub(in crate::http) fn discard_unread(request: Request) -> Request {
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return request;
    }
    request.map(|body| Body::from_stream(Leftover(Some(body.into_data_stream()))))
}

/// A body, until it has been read to its end.
struct Leftover(Option<BodyDataStream>);

impl Stream for Leftover {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(chunks) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let next = Pin::new(chunks).poll_next(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        next
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        // There is none while a process ends, and then nobody waits for the answer either.
        if let (Some(chunks), Ok(_)) = (self.0.take(), Handle::try_current()) {
            linger(chunks);
        }
    }
}
