//! Moving messages from receivers to workers.
//!
//! Two queues behind the same traits: [`embedded`] in the store, for one process, and
//! [`rabbitmq`]. Two lanes: `work`, and `failed` for messages that cannot be processed (dead
//! letters). A queue keeps a message until a worker has settled it: acknowledged it, asked for a
//! retry, or dead-lettered it. It hands out batches and settles a whole batch at once: on AMQP with
//! one multiple-ack after the confirmed publishes of the retries, in the built-in queue with one
//! transaction.

pub mod embedded;
mod lane;
pub mod message;
mod names;
mod origin;
mod owner;
pub mod rabbitmq;
mod topology;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use lane::Lane;
pub use message::Message;
pub use origin::{Origin, is_request_id, parse_traceparent};
pub use topology::Mismatch;

use crate::domain::event::EventError;
use crate::domain::time::Timestamp;

/// The limit on body bytes in one commit or one batch: once it is reached, no further message is
/// added. A set of rows is bound as one JSON text and unpacked again, so its messages are in memory
/// several times over; 256 of the largest would be gigabytes. 256 typical events are one megabyte.
pub(crate) const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Most messages that a process publishes to the broker at once. More gain nothing, and the limit bounds
/// memory while the broker stalls.
pub const MAX_IN_FLIGHT: usize = 256;

/// A failed operation of the queue. Trying again later may succeed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The broker, or the built-in queue's store, did not answer as it should.
    #[error("the queue is unavailable")]
    Unavailable {
        /// The cause. Shared, because one commit answers several publishes.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The queue is shutting down.
    #[error("the queue is closed")]
    Closed,
}

impl QueueError {
    fn unavailable(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Unavailable {
            source: Arc::new(source),
        }
    }
}

/// The sending side of a queue.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Publishes to the lane `work`. When this returns without an error the message is durable:
    /// a 200 may rest on it.
    ///
    /// # Errors
    /// When durability is not certain. The message may have been stored all the same.
    async fn publish(&self, message: Message) -> Result<(), QueueError>;

    /// Checks that publishing works now, for `/readyz`.
    ///
    /// # Errors
    /// When it does not, with the reason.
    async fn ready(&self) -> Result<(), QueueError>;

    /// Counts the messages in the queue, for monitoring.
    ///
    /// # Errors
    /// When the queue cannot tell.
    async fn depths(&self) -> Result<Depths, QueueError>;
}

/// A change, as it is announced to other systems.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The key by which they choose: the app and the kind, such as `default.customer.suspended`.
    pub key: String,
    /// The id of the change, the same when it is told again.
    pub id: String,
    /// The kind.
    pub kind: String,
    /// When the change was, by the local clock.
    pub occurred_at: Timestamp,
    /// JSON.
    pub body: String,
}

/// Tells other systems of changes, by a broker.
#[async_trait]
pub trait Announcer: Send + Sync + 'static {
    /// Tells of a change. When this returns without an error, every queue that is bound to it has it on
    /// its disk; there may be none.
    ///
    /// # Errors
    /// When that is not certain. It may have been told all the same.
    async fn announce(&self, notice: Notice) -> Result<(), QueueError>;
}

/// The number of messages in each part of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Due messages in the lane `work`. The built-in queue includes those that its worker has in
    /// hand.
    pub work: u64,
    /// Messages that wait for their next try, by the length of the delay, shortest first.
    pub retry: Vec<(Duration, u64)>,
    /// Messages in the lane `failed`.
    pub failed: u64,
}

/// A message handed to a worker, until it is settled.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Names the delivery to the queue that made it.
    pub tag: u64,
    /// The number of times that it was delivered before and came back unsettled, as far as the
    /// queue knows: the built-in queue does not count.
    pub delivery_count: u32,
    /// The message itself.
    pub message: Message,
}

/// The worker's decision about a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done: forget it.
    Ack,
    /// Deliver it again after `delay`, with one more attempt counted.
    Retry {
        /// The time until it is due again.
        delay: Duration,
        /// The reason why this try failed.
        error: EventError,
    },
    /// Move it to the lane `failed`.
    Fail {
        /// The reason why it cannot be processed.
        error: EventError,
    },
}

/// The state of a consumer's connection, for health checks.
#[async_trait]
pub trait ConsumerHealth: Send + Sync + 'static {
    /// Checks that messages would arrive now. Asks the other side if it was not heard of lately.
    ///
    /// # Errors
    /// When the consumer is not connected, or gets no answer.
    async fn ready(&self) -> Result<(), QueueError>;
}

/// The receiving side of a queue. Deliveries that are not settled when it is dropped, or when the
/// process dies, are delivered again.
#[async_trait]
pub trait Consumer: Send + 'static {
    /// Waits until at least one message is due, and takes up to `most`. The wait may be given up:
    /// nothing is lost by it, and the next one begins where it was.
    ///
    /// # Errors
    /// When the queue does not answer.
    async fn next_batch(&mut self, most: usize) -> Result<Vec<Delivery>, QueueError>;

    /// Settles deliveries.
    ///
    /// # Errors
    /// When the queue does not answer: some or all of the deliveries will come again.
    async fn settle(&mut self, settlements: Vec<(Delivery, Settlement)>) -> Result<(), QueueError>;

    /// Makes sure that the queue knows of everything that was settled, before the consumer is dropped.
    /// Otherwise some of it may come again.
    async fn finish(&mut self) {}

    /// Gives deliveries back unprocessed, without using up an attempt. The consumer takes nothing
    /// more until [`next_batch`](Self::next_batch) is called again. Not meant for short outages: a
    /// broker counts how often a message comes back.
    async fn give_back(&mut self, deliveries: Vec<Delivery>);
}
