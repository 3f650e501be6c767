//! A connection that consumes one lane.

use std::sync::Arc;

use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use tokio::sync::oneshot;

use super::connection::{Broker, BrokerError, close, in_time, open_channel};
use crate::queue::Lane;
use crate::queue::topology::{self, short};

/// Deliveries of the lane `work` that the broker sends ahead: two of the worker's batches, so
/// that the next one is here when one is done. No more, because a worker that dies condemns all
/// of them by one step towards the delivery limit.
const PREFETCH_WORK: u16 = 512;

/// The same of the lane `failed`, whose messages are worked off one by one.
const PREFETCH_FAILED: u16 = 16;

/// A connection that consumes. What it holds goes back to the broker when it is dropped.
pub(super) struct Session {
    connection: Connection,
    pub(super) channel: Channel,
    pub(super) deliveries: lapin::Consumer,
}

impl Session {
    /// A new session, made by a task of its own. Whoever waits for it may be cancelled, and a
    /// connection that is dropped half made could live on and hold messages that nobody reads.
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
            // Also here: a worker may be the first to see that a queue is gone.
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

    /// Gives back everything that is unsettled, and ends.
    pub(super) async fn give_back(self) -> Result<(), BrokerError> {
        // Cancelled first, or the broker would send at once what it gets back.
        self.channel
            .basic_cancel(self.deliveries.tag(), BasicCancelOptions::default())
            .await
            .map_err(BrokerError::amqp("cancelling the consumer"))?;
        // Tag 0 stands for all that is unsettled on this channel, also what was sent ahead.
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
