//! What is left of a body when the answer is known.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::header::EXPECT;
use futures::Stream;
use tokio::runtime::Handle;

/// Lets the body of a request be discarded if whoever answers leaves it unread, or a part of it: the
/// connection would be closed behind the answer, without a word of it in the answer, and with it the next
/// request would be lost that the sender has on its way. Nothing is read of a sender that waits for the
/// answer before it sends anything.
pub(in crate::http) fn discarded(request: Request) -> Request {
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
            super::linger(chunks);
        }
    }
}
