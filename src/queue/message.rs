//! What travels: a verified webhook with all that a worker needs, so that receiving needs no
//! database and a message can be replayed anywhere.

use serde::{Deserialize, Serialize};

use crate::domain::event::EventError;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// A message, by version of its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Everything but the body; on AMQP the message's headers.
    pub headers: Headers,
    /// The bytes that were signed, as text: only JSON is accepted, and JSON is UTF-8.
    pub body: String,
}

/// The headers of a message. The tag is the version, so that a worker of a later version can
/// read what an earlier receiver left in the queue.
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
    /// Whose endpoint received it.
    pub app: AppSlug,
    /// Who sent it.
    pub provider: Provider,
    /// The provider's event id.
    pub event_id: String,
    /// The provider's event type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it was received, by the receiver's clock.
    pub received_at: Timestamp,
    /// The mode of the secret that verified it.
    pub mode: Mode,
    /// Made anew for every webhook received and every replay ordered: tells a second delivery
    /// of one message (no duplicate) from a second webhook of one event (a duplicate).
    pub receipt: String,
    /// How many times it has been tried before.
    pub attempt: u32,
    /// Set when an admin asked for it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// Why it is in the dead-letter lane, or why its last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EventError>,
}

/// How an admin asked for an event again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Also when it has been applied already.
    pub force: bool,
}

impl Message {
    /// The headers of whatever version, in the newest form.
    pub fn headers(&self) -> &HeadersV1 {
        match &self.headers {
            Headers::V1(headers) => headers,
        }
    }

    /// The same, to change.
    pub fn headers_mut(&mut self) -> &mut HeadersV1 {
        match &mut self.headers {
            Headers::V1(headers) => headers,
        }
    }
}
