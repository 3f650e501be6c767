//! What is left of a body when the answer is known: it is read and thrown away.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
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

/// Has the rest of a body discarded if the handler leaves it unread. Otherwise the connection would be closed
/// after the answer, without `Connection: close`, and a request already on its way would be lost. Nothing is
/// read of a sender that waits for the answer before it sends anything, nor of a body that is too large to be
/// discarded.
pub(in crate::http) fn discard_unread(request: Request) -> Request {
    let headers = request.headers();
    let is_large = announced(headers).is_some_and(|length| length > limits::MAX_DISCARDED);
    if request.body().is_end_stream() || headers.contains_key(EXPECT) || is_large {
        return request;
    }
    request.map(|body| {
        Body::from_stream(Leftover {
            unread: Some(body.into_data_stream()),
            read: 0,
        })
    })
}

/// The length of a body that its sender announced.
pub(super) fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body, until it has been read to its end.
struct Leftover {
    unread: Option<BodyDataStream>,
    /// Bytes so far.
    read: usize,
}

impl Stream for Leftover {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(chunks) = &mut self.unread else {
            return Poll::Ready(None);
        };
        let next = Pin::new(chunks).poll_next(context);
        match &next {
            Poll::Ready(Some(Ok(chunk))) => self.read += chunk.len(),
            Poll::Ready(None | Some(Err(_))) => self.unread = None,
            Poll::Pending => {}
        }
        next
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        // Whoever read as much as this has discarded it already.
        if self.read >= limits::MAX_DISCARDED {
            return;
        }
        // There is no runtime while a process ends, and then nobody waits for the answer either.
        if let (Some(chunks), Ok(_)) = (self.unread.take(), Handle::try_current()) {
            linger(chunks);
        }
    }
}
