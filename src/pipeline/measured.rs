//! A publisher that counts what is confirmed, and how soon.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::metrics::{QueueMetrics, Sent};
use crate::queue::{Depths, Message, Publisher, QueueError};

/// A publisher whose messages are counted.
pub struct Measured {
    publisher: Arc<dyn Publisher>,
    metrics: QueueMetrics,
}

impl Measured {
    /// Counts what `publisher` takes.
    pub fn new(publisher: Arc<dyn Publisher>, metrics: QueueMetrics) -> Self {
        Self { publisher, metrics }
    }
}

#[async_trait]
impl Publisher for Measured {
    async fn publish(&self, message: Message) -> Result<(), QueueError> {
        let sent = match message.headers().replay {
            Some(_) => Sent::Replay,
            None => Sent::Webhook,
        };
        let began = Instant::now();
        let published = self.publisher.publish(message).await;
        match &published {
            Ok(()) => self.metrics.published(sent, began.elapsed()),
            Err(_) => self.metrics.refused(),
        }
        published
    }

    async fn ready(&self) -> Result<(), QueueError> {
        self.publisher.ready().await
    }

    async fn depths(&self) -> Result<Depths, QueueError> {
        self.publisher.depths().await
    }
}
