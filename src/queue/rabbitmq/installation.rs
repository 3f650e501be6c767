//! Whose the queues are.
//!
//! Two installations that share a virtual host and `TOLLGATE_AMQP_PREFIX` would each take webhooks of
//! the other out of one queue, and write them into a store where nobody looks for them. So an exchange
//! carries the id of the store in an argument. The broker keeps the arguments that an exchange was made
//! with and refuses to declare it with others, which makes it the one place that both installations see.

use lapin::Connection;
use tracing::warn;

use super::connection::{Broker, close_channel, look, open_channel};
use super::error::BrokerError;
use crate::queue::topology;

impl Broker {
    /// Makes sure that the queues are this installation's. Those of another one are taken over if nobody
    /// consumes them and nothing waits in them: either it is gone, or this is it with a new store.
    pub(super) async fn claim(&self, connection: &Connection) -> Result<(), BrokerError> {
        let Some(own) = &self.installation else {
            return Ok(());
        };
        let other = match self.declare_claim(connection, own).await {
            Err(BrokerError::Mismatch(mismatch)) => mismatch.found.clone(),
            done => return done,
        };
        let exchange = self.names.installation();
        for queue in self.names.queues() {
            // A queue that is missing has neither messages nor consumers.
            let seen = look(connection, queue.clone()).await?;
            if let Some(seen) = seen.filter(|it| !it.is_idle()) {
                return Err(BrokerError::OtherInstallation {
                    exchange,
                    other,
                    queue,
                    messages: seen.ready,
                    consumers: seen.consumers,
                });
            }
        }
        warn!(
            exchange = exchange.as_str(),
            other,
            "the queues belonged to another installation; nobody consumes them and nothing waits in \
             them, so this one takes them over"
        );
        let channel = open_channel(connection).await?;
        topology::remove_installation(&channel, &self.names).await?;
        close_channel(&channel).await?;
        self.declare_claim(connection, own).await
    }

    /// On a channel of its own: the broker closes it when the exchange names another installation.
    async fn declare_claim(&self, connection: &Connection, own: &str) -> Result<(), BrokerError> {
        let channel = open_channel(connection).await?;
        topology::declare_installation(&channel, &self.names, own).await?;
        close_channel(&channel).await
    }
}
