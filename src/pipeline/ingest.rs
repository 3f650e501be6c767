//! Turns a verified webhook into a durable message.

use bytes::Bytes;
use bytestring::ByteString;

use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::provider::{EventHead, PayloadError, VerifiedWebhook};
use crate::queue::message::{Headers, HeadersV1};
use crate::queue::{Message, Origin, Publisher, QueueError};
use crate::random::{self, RandomError};

/// A verified webhook was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// It has no usable id and type. Sending it again will not help.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// It may not be durable, so the provider must send it again.
    #[error("the webhook could not be handed over to the queue")]
    Queue(#[source] QueueError),
    /// No receipt could be made for it.
    #[error("no receipt could be made for the webhook")]
    Random(#[source] RandomError),
}

/// Hands a webhook over to the queue. When this returns without an error the webhook is durable,
/// and may be acknowledged.
///
/// Reads only the id and type from the payload: its meaning is left to the worker, which can try
/// again, and whose failures can be replayed. May be repeated: every event counts once.
///
/// # Errors
/// See [`IngestError`]. After any but the first, the message may have been kept nevertheless.
pub async fn ingest(
    publisher: &dyn Publisher,
    app: AppSlug,
    webhook: VerifiedWebhook<Bytes>,
    origin: Origin,
    now: Timestamp,
) -> Result<EventHead, IngestError> {
    let head = webhook.head()?;
    let headers = HeadersV1 {
        app,
        provider: webhook.provider(),
        event_id: head.id.clone(),
        event_type: head.event_type.clone(),
        received_at: now,
        mode: webhook.mode(),
        receipt: random::uuid(now)
            .map_err(IngestError::Random)?
            .simple()
            .to_string(),
        attempt: 0,
        origin,
        replay: None,
        error: None,
    };
    // A body with a readable head is UTF-8; the check is cheaper than an unchecked conversion is
    // risky.
    let body = ByteString::try_from(webhook.into_body()).map_err(|_| PayloadError::NotJson)?;
    let message = Message {
        headers: Headers::V1(headers),
        body,
    };
    publisher
        .publish(message)
        .await
        .map_err(IngestError::Queue)?;
    Ok(head)
}
