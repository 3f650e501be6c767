//! Which installation owns the queues.
//!
//! Two installations that share a virtual host and `TOLLGATE_AMQP_PREFIX` would each take webhooks of
//! the other out of one queue, and write them into a store where nobody looks for them. So an exchange
//! carries the id of the store in an argument. The broker keeps the arguments that an exchange was made
//! with and refuses to declare it with others, which makes it the one place that both installations see.
//!
//! Refused: a server that takes over queues which look idle. They also do while the owner restarts.

use lapin::Connection;

use super::connection::{Broker, close, close_channel, in_time, inspect, open_channel};
use super::error::BrokerError;
use crate::queue::owner::{self, Owner};

/// The way in which queues became an installation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// They were its own, or nobody's.
    Before,
    /// They were another one's, with so many messages in them.
    TakenOver {
        /// Messages that wait in the queues.
        messages: u64,
    },
}

impl Broker {
    /// Refuses queues of another installation. Those of none are this one's from now on.
    pub(super) async fn declare_owner(&self, connection: &Connection) -> Result<(), BrokerError> {
        let Some(own) = &self.installation else {
            return Ok(());
        };
        let channel = open_channel(connection).await?;
        match owner::declare(&channel, &self.names, own).await? {
            Owner::This => close_channel(&channel).await,
            Owner::Other => Err(BrokerError::OtherInstallation {
                exchange: self.names.installation(),
            }),
        }
    }

    /// Refuses queues of another installation, and leaves those of none alone.
    pub(super) async fn check_owner(&self, connection: &Connection) -> Result<(), BrokerError> {
        let channel = open_channel(connection).await?;
        if owner::exists(&channel, &self.names).await? {
            close_channel(&channel).await?;
            return self.declare_owner(connection).await;
        }
        Ok(())
    }

    /// Takes the queues over from another installation, unless somebody consumes them.
    pub(super) async fn claim(&self) -> Result<Claimed, BrokerError> {
        let connection = self.connect("claim").await?;
        let claimed = in_time(self.claim_over(&connection)).await;
        close(&connection).await;
        claimed
    }

    async fn claim_over(&self, connection: &Connection) -> Result<Claimed, BrokerError> {
        match self.declare_owner(connection).await {
            Ok(()) => return Ok(Claimed::Before),
            Err(BrokerError::OtherInstallation { .. }) => {}
            Err(error) => return Err(error),
        }
        self.count_unconsumed(connection).await?;
        let channel = open_channel(connection).await?;
        owner::remove(&channel, &self.names).await?;
        close_channel(&channel).await?;
        self.declare_owner(connection).await?;
        // Once more: a worker may have begun to consume meanwhile.
        let messages = self.count_unconsumed(connection).await?;
        Ok(Claimed::TakenOver { messages })
    }

    /// Returns the number of messages that wait in the queues, also in those of the version before, and
    /// refuses if one of them is consumed.
    async fn count_unconsumed(&self, connection: &Connection) -> Result<u64, BrokerError> {
        let older = self.names.before();
        let mut messages = 0;
        for queue in self.names.queues().chain(older.queues()) {
            let Some(seen) = inspect(connection, queue.clone()).await? else {
                continue;
            };
            if seen.consumers > 0 {
                let consumers = seen.consumers;
                return Err(BrokerError::Consumed { queue, consumers });
            }
            messages += seen.ready;
        }
        Ok(messages)
    }
}
