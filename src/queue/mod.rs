//! Moving messages from receivers to workers.
//!
//! Two queues behind the same traits: [`embedded`] in the store, for one process, and
//! [`rabbitmq`]. Two lanes: `work`, and `failed` for what cannot be processed. A queue keeps a message until a
//! worker has settled it, hands out batches, and lets a worker settle a whole batch at once:
//! on AMQP that is one multiple-ack after the confirmed publishes of the retries, in the
//! built-in queue one transaction.

pub mod embedded;
mod lane;
pub mod message;
pub mod rabbitmq;
mod topology;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use lane::Lane;
pub use message::Message;
pub use topology::Mismatch;

use crate::domain::event::EventError;

/// How many bytes of bodies share one commit or one batch, beyond which no further message is
/// added. A set of rows is bound as one JSON text and unpacked again, so its messages are in memory
/// several times over; 256 of the largest would be gigabytes. Of usual events 256 are one megabyte.
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Why the queue did not do it. Trying again later may succeed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// What keeps the messages did not answer as it should: the broker, or the built-in queue's
    /// store.
    #[error("what keeps the messages did not answer as it should")]
    Unavailable {
        /// Why. Shared, because one commit answers several publishes.
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

/// Where receivers and replays put messages.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Publishes to the lane `work`. When this returns without an error the message is durable:
    /// a 200 may rest on it.
    ///
    /// # Errors
    /// When durability is not certain. The message may have been kept all the same.
    async fn publish(&self, message: Message) -> Result<(), QueueError>;

    /// Whether publishing works now, for `/readyz`.
    ///
    /// # Errors
    /// Why it does not.
    async fn ready(&self) -> Result<(), QueueError>;

    /// How much lies in the queue, for those who watch.
    ///
    /// # Errors
    /// When the queue does not say.
    async fn depths(&self) -> Result<Depths, QueueError>;
}

/// How many messages lie where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Due in the lane `work`. The built-in queue counts those in its worker's hands too.
    pub work: u64,
    /// Resting before their next try, by the length of the rest, shortest first.
    pub retry: Vec<(Duration, u64)>,
    /// In the lane `failed`.
    pub failed: u64,
}

/// A message handed to a worker, until it is settled.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Names the delivery to the queue that made it.
    pub tag: u64,
    /// How many times it was delivered before and came back unsettled, as far as the queue
    /// knows: the built-in one does not count.
    pub came_back: u32,
    /// What was delivered.
    pub message: Message,
}

/// What shall become of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is done: forget it.
    Ack,
    /// Deliver it again after `delay`, with one more attempt counted.
    Retry {
        /// How long it rests.
        delay: Duration,
        /// Why this try failed.
        error: EventError,
    },
    /// Move it to the lane `failed`.
    Fail {
        /// Why it cannot be processed.
        error: EventError,
    },
}

/// Where a worker takes messages from. Deliveries that are not settled when it is dropped, or
/// when the process dies, are delivered again.
#[async_trait]
pub trait Consumer: Send + 'static {
    /// Waits until at least one message is due, and takes up to `most`.
    ///
    /// # Errors
    /// When the queue does not answer.
    async fn next_batch(&mut self, most: usize) -> Result<Vec<Delivery>, QueueError>;

    /// Settles deliveries.
    ///
    /// # Errors
    /// When the queue does not answer: deliveries will come again, perhaps all of them.
    async fn settle(&mut self, settlements: Vec<(Delivery, Settlement)>) -> Result<(), QueueError>;

    /// Gives deliveries back unprocessed; no attempt of theirs is used up. The consumer takes
    /// nothing more until [`next_batch`](Self::next_batch) is called again. Not for every
    /// hiccup: a broker counts how often a message comes back.
    async fn give_back(&mut self, deliveries: Vec<Delivery>);
}
