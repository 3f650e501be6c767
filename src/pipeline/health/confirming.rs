//! A publisher that remembers when a message was last confirmed.

use std::sync::Arc;

use async_trait::async_trait;

use super::stamp::Stamp;
use crate::queue::{Depths, Message, Publisher, QueueError};

pub(super) struct Confirming {
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) confirmed: Arc<Stamp>,
}

#[async_trait]
impl Publisher for Confirming {
    async fn publish(&self, message: Message) -> Result<(), QueueError> {
        self.publisher.publish(message).await?;
        self.confirmed.set();
        Ok(())
    }

    async fn ready(&self) -> Result<(), QueueError> {
        self.publisher.ready().await
    }

    async fn depths(&self) -> Result<Depths, QueueError> {
        self.publisher.depths().await
    }
}
