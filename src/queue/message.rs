//! Messages: a verified webhook with everything that a worker needs, so that receiving needs no
//! database and a message can be replayed anywhere.

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::domain::event::EventError;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Everything except the body; on AMQP the message's headers.
    pub headers: Headers,
    /// The signed bytes as text: only JSON is accepted, and JSON is UTF-8. Clones share the bytes.
    pub body: ByteString,
}

/// The headers of a message. The serde tag is the version, so that a newer worker can read messages
/// that an older receiver left in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version")]
pub enum Headers {
    /// The first form.
    #[serde(rename = "1")]
    V1(HeadersV1),
}

/// The first form of the headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadersV1 {
    /// The app whose endpoint received it.
    pub app: AppSlug,
    /// The provider that sent it.
    pub provider: Provider,
    /// The provider's event id.
    pub event_id: String,
    /// The provider's event type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The time of receipt, by the receiver's clock.
    pub received_at: Timestamp,
    /// The mode of the secret that verified it.
    pub mode: Mode,
    /// A new id for every webhook received and every replay requested: it tells a second delivery
    /// of one message (no duplicate) from a second webhook of one event (a duplicate).
    pub receipt: String,
    /// The number of earlier tries.
    pub attempt: u32,
    /// The request that brought it, or that asked for its replay.
    #[serde(default, flatten)]
    pub origin: Origin,
    /// Set when an admin asked for a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// The reason why it is in the lane `failed`, or why its last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EventError>,
}

/// An admin's request to process an event again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// True if it is to be processed even when it has been applied already.
    pub force: bool,
    /// The number of tries before the replay was ordered. Its own begin at 0, so that it gets all
    /// retries; in the ledger they are added up.
    #[serde(default)]
    pub tries_before: u32,
}

impl HeadersV1 {
    /// Adds the tries before a replay to a number of the message's own.
    pub fn tries(&self, own: u32) -> u32 {
        let before = self.replay.map_or(0, |replay| replay.tries_before);
        before.saturating_add(own)
    }
}

impl Message {
    /// Returns the headers in the newest form, whatever their version.
    pub fn headers(&self) -> &HeadersV1 {
        match &self.headers {
            Headers::V1(headers) => headers,
        }
    }

    /// Returns the headers for changing.
    pub fn headers_mut(&mut self) -> &mut HeadersV1 {
        match &mut self.headers {
            Headers::V1(headers) => headers,
        }
    }
}
