//! Messages on their way into a batch, and which of them may be processed beside each other.
//!
//! Two batches that run at the same time must not wait for each other, so messages of one billing
//! account go to one shard, and batches of different shards have no account in common. That saves
//! waits and nothing else: whatever two batches do have in common, such as an address, is locked in
//! the store.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::domain::event::{BodyDigest, EventKey};
use crate::provider::{self, Named, ReadError, Reading};
use crate::queue::Message;

/// A message with what its payload names, which is looked for once.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The message.
    pub message: &'a Message,
    /// What its payload names.
    pub named: &'a Named,
}

impl Incoming<'_> {
    /// Names its event.
    pub(super) fn key(&self) -> EventKey {
        let headers = self.message.headers();
        EventKey {
            app: headers.app.clone(),
            provider: headers.provider,
            id: headers.event_id.clone(),
        }
    }
}

/// Finds what the payload of a message names.
pub fn named_by(message: &Message) -> Named {
    let headers = message.headers();
    provider::named(
        headers.provider,
        &headers.event_type,
        &message.body,
        headers.mode,
    )
}

/// Puts messages and what their payloads name together.
pub fn incoming<'a>(messages: &[&'a Message], named: &'a [Named]) -> Vec<Incoming<'a>> {
    let pairs = messages.iter().zip(named);
    pairs
        .map(|(message, named)| Incoming { message, named })
        .collect()
}

/// A message whose payload was read.
pub(super) struct Read<'a> {
    pub(super) incoming: Incoming<'a>,
    pub(super) digest: BodyDigest,
    pub(super) reading: Result<Reading, ReadError>,
}

/// Reads the payloads of messages: before their transaction begins, which others may wait for. That
/// of a duplicate is read for nothing; duplicates are rare.
pub(super) fn read_all<'a>(messages: &[Incoming<'a>]) -> Vec<Read<'a>> {
    let read = messages.iter().map(|&incoming| {
        let (headers, body) = (incoming.message.headers(), &incoming.message.body);
        let (provider, event_type) = (headers.provider, &headers.event_type);
        Read {
            incoming,
            digest: provider::digest(provider, body),
            reading: provider::read(provider, event_type, body.as_bytes(), headers.mode),
        }
    });
    read.collect()
}

/// Returns the shard of a message, below `shards`: by its app and its billing account; by what else
/// it names if it names no account, and by its own id if it names nothing.
pub fn shard_of(incoming: Incoming<'_>, shards: usize) -> usize {
    let headers = incoming.message.headers();
    let Named { account, ids } = incoming.named;
    let account = account.as_ref().map(|key| key.id.as_str());
    let named = account.or(ids.first().map(String::as_str));
    let mut hasher = DefaultHasher::new();
    headers.app.as_str().hash(&mut hasher);
    named.unwrap_or(&headers.event_id).hash(&mut hasher);
    let shards = u64::try_from(shards).unwrap_or(1).max(1);
    usize::try_from(hasher.finish() % shards).unwrap_or_default()
}
