//! Messages on their way to a queue: where each goes, and how it is written.

use std::time::Duration;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;

use super::codec;
use crate::queue::names::{FAILED_KEY, Names, WORK_KEY, short};
use crate::queue::{Message, Notice};

/// A message on its way to a queue.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
    /// True if it must reach a queue: one without a queue comes back instead of vanishing with a
    /// confirm.
    pub(super) mandatory: bool,
}

impl Outgoing {
    /// Addresses what is told of a change to whoever has bound a queue to it. Nobody may have, and
    /// then it goes nowhere.
    pub(super) fn to_changes(names: &Names, notice: Notice) -> Self {
        let key = short(&notice.key);
        let (properties, body) = codec::encode_notice(notice);
        Self {
            exchange: names.changes(),
            key,
            properties,
            body,
            mandatory: false,
        }
    }

    /// Addresses a message to the lane `work`.
    pub(super) fn to_work(names: &Names, message: Message) -> Self {
        Self::new(names.events(), WORK_KEY.into(), message)
    }

    /// Addresses a message to the lane `failed`.
    pub(super) fn to_failed(names: &Names, message: Message) -> Self {
        Self::new(names.dead_letters(), FAILED_KEY.into(), message)
    }

    /// Addresses a message to the lane `work` after a delay.
    pub(super) fn to_retry(names: &Names, message: Message, delay: Duration) -> Self {
        Self::new(ShortString::default(), names.retry(delay), message)
    }

    /// Addresses an unread message to the lane `work` after a delay.
    pub(super) fn unread_to_retry(
        names: &Names,
        properties: &BasicProperties,
        body: Bytes,
        delay: Duration,
    ) -> Self {
        Self::to_queue(names.retry(delay), codec::without_marks(properties), body)
    }

    /// Addresses an unread message to a queue by its name.
    pub(super) fn to_queue(queue: ShortString, properties: BasicProperties, body: Bytes) -> Self {
        Self {
            exchange: ShortString::default(),
            key: queue,
            properties,
            body,
            mandatory: true,
        }
    }

    fn new(exchange: ShortString, key: ShortString, message: Message) -> Self {
        let (properties, body) = codec::encode(message);
        Self {
            exchange,
            key,
            properties,
            body,
            mandatory: true,
        }
    }
}
