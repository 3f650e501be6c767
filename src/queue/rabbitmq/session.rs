//! A connection that consumes one lane.

use std::sync::Arc;

use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use tokio::sync::oneshot;

use super::connection::{Broker, BrokerError, close, in_time, open_channel};
use crate::queue::Lane;
use crate::queue::topology::{self, short};

/// Deliveries of the lane `work` that the broker sends ahead: four of the worker's batches, so that
/// the next one is here when one is done. No more, because a worker that dies brings all of them
/// one step closer to the delivery limit.
const PREFETCH_WORK: u16 = 512;

/// The same for the lane `failed`, whose messages are recorded one by one.
const PREFETCH_FAILED: u16 = 16;

/// A connection that consumes. Unsettled deliveries go back to the broker when it is dropped.
pub(super) struct Session {
    connection: Connection,
    pub(super) channel: Channel,
    pub(super) deliveries: lapin::Consumer,
}

impl Session {
    /// Opens a session in a task of its own. The caller may be cancelled while it waits, and a
    /// half-open connection that is dropped could live on, with messages that nobody reads.
    pub(super) async fn make(broker: Arc<Broker>, lane: Lane) -> Result<Self, BrokerError> {
        let (made, session) = oneshot::channel();
        tokio::spawn(async move {
            if let Err(Ok(unwanted)) = made.send(Self::open(&broker, lane).await) {
                close(&unwanted.connection).await;
            }
        });
        session.await.unwrap_or(Err(BrokerError::Lost))
    }

    async fn open(broker: &Broker, lane: Lane) -> Result<Self, BrokerError> {
        let (purpose, prefetch) = match lane {
            Lane::Work => ("worker", PREFETCH_WORK),
            Lane::Failed => ("dead letters", PREFETCH_FAILED),
        };
        let connection = broker.connect(purpose).await?;
        let consuming = in_time(async {
            let channel = open_channel(&connection).await?;
            // Declared here too: a worker may be the first to see that a queue is gone.
            topology::declare(&channel, &broker.names).await?;
            channel
                .basic_qos(prefetch, BasicQosOptions::default())
                .await
                .map_err(BrokerError::amqp("setting the prefetch"))?;
            let queue = broker.names.lane(lane);
            // Acknowledged by hand, and not exclusive: workers share the queue.
            let options = BasicConsumeOptions::default();
            let deliveries = channel
                .basic_consume(queue, short(""), options, FieldTable::default())
                .await
                .map_err(BrokerError::amqp("consuming"))?;
            Ok((channel, deliveries))
        });
        match consuming.await {
            Ok((channel, deliveries)) => Ok(Self {
                connection,
                channel,
                deliveries,
            }),
            Err(error) => {
                close(&connection).await;
                Err(error)
            }
        }
    }

    /// Gives back everything that is unsettled, and closes the connection.
    pub(super) async fn give_back(self) -> Result<(), BrokerError> {
        // Cancelled first, or the broker would send everything again at once.
        self.channel
            .basic_cancel(self.deliveries.tag(), BasicCancelOptions::default())
            .await
            .map_err(BrokerError::amqp("cancelling the consumer"))?;
        // Tag 0 stands for everything unsettled on this channel, including what was sent ahead.
        let all = BasicNackOptions {
            multiple: true,
            requeue: true,
        };
        self.channel
            .basic_nack(0, all)
            .await
            .map_err(BrokerError::amqp("giving messages back"))?;
        self.connection
            .close(200, "done".into())
            .await
            .map_err(BrokerError::amqp("closing the connection"))
    }
}
