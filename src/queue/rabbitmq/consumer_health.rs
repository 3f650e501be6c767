//! Whether a consumer's link works, asked from outside while the consumer waits on it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lapin::Channel;
use lapin::types::ShortString;

use super::depths::depth;
use super::error::BrokerError;
use crate::queue::{ConsumerHealth, QueueError};

/// How long an answer of the broker counts. A link that is cut in silence is noticed no later.
const FRESH: Duration = Duration::from_secs(1);

/// The link of a consumer, as the consumer last left it.
#[derive(Default)]
pub(super) struct RabbitConsumerHealth(Mutex<Option<Link>>);

#[derive(Clone)]
struct Link {
    channel: Channel,
    queue: ShortString,
    heard: Instant,
}

impl RabbitConsumerHealth {
    /// Notes that the consumer consumes now.
    pub(super) fn begin(&self, channel: Channel, queue: ShortString) {
        self.set(Some(Link {
            channel,
            queue,
            heard: Instant::now(),
        }));
    }

    /// Notes that the consumer has no link.
    pub(super) fn lose(&self) {
        self.set(None);
    }

    fn set(&self, link: Option<Link>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }

    fn link(&self) -> Option<Link> {
        let link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        link.clone()
    }

    /// Asks on the consumer's own channel: another connection would only show that others work. A
    /// queue that is gone closes the channel, which ends a consumer that would get nothing.
    async fn ask(&self) -> Result<(), BrokerError> {
        let link = self.link().ok_or(BrokerError::Lost)?;
        if !link.channel.status().connected() {
            return Err(BrokerError::Lost);
        }
        if link.heard.elapsed() < FRESH {
            return Ok(());
        }
        depth(&link.channel, link.queue.clone()).await?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &mut *known
            && known.channel.id() == link.channel.id()
        {
            known.heard = Instant::now();
        }
        Ok(())
    }
}

#[async_trait]
impl ConsumerHealth for RabbitConsumerHealth {
    async fn ready(&self) -> Result<(), QueueError> {
        self.ask().await.map_err(QueueError::unavailable)
    }
}
