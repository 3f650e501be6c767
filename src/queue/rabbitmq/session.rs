//! A connection that consumes one lane, and how its end is noticed.
//!
//! The client library's stream of deliveries (lapin 4.12, `consumer.rs`) has several ends:
//!
//! - The broker cancels the consumer (`basic.cancel`), because its queue was deleted or, from RabbitMQ
//!   4.3 on, because it kept a message longer than `consumer_timeout`: the stream yields what had
//!   arrived before, then `None` once, and after that it waits for ever. The channel stays open, and so
//!   does the connection. So the one `None` must not be missed, wherever it is read.
//! - The broker closes the channel, which up to RabbitMQ 4.2 is its answer to a message that was kept
//!   too long: what had arrived, then the error, then `None`, then silence. The channel is no longer
//!   connected by then, which is seen before the stream has run dry.
//! - The connection ends, or misses two heartbeats: the same as for the channel.
//! - The broker, or the way to it, falls silent on a connection that stays open: nothing at all.
//!
//! So the stream is not the only witness. A worker that has waited for some seconds with nothing in
//! hand asks the broker how many messages wait in its lane. No answer means that the link is dead;
//! messages in two looks, and none of them delivered, mean that it stands still. Either way the
//! next session has a new connection.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, try_join_all};
use futures::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;

use super::connection::{Broker, close, in_time, inspect};
use super::error::BrokerError;
use super::tags::Ack;
use crate::causes::chain;
use crate::queue::Lane;
use crate::queue::names::short;
use crate::queue::topology::QueueCounts;

/// Deliveries of the lane `work` that the broker sends ahead: eight of the worker's batches. By default four
/// are under way at once, so that the next ones are here when one is done. No more, because a worker that
/// dies brings all of them one step closer to the delivery limit.
const PREFETCH_WORK: u16 = 1_024;

/// The same for the lane `failed`, whose messages are recorded one by one.
const PREFETCH_FAILED: u16 = 16;

/// The time between looks at the lane while nothing comes.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The time limit of a look. With the interval it makes less than ten seconds in which a dead link
/// is noticed.
const LOOK_TIME: Duration = Duration::from_secs(3);

/// The time for which nothing comes although messages wait, before the link counts as stuck.
const STANDSTILL: Duration = Duration::from_secs(10);

/// A session that is being opened.
pub(super) type Opening = oneshot::Receiver<Result<Session, BrokerError>>;

/// A look at the lane, under way.
type Looking = BoxFuture<'static, Result<Option<QueueCounts>, BrokerError>>;

/// A connection that consumes. Unsettled deliveries go back to the broker when it is dropped.
pub(super) struct Session {
    broker: Arc<Broker>,
    lane: Lane,
    connection: Arc<Connection>,
    channel: Channel,
    deliveries: lapin::Consumer,
    /// True once the broker has cancelled the consumer.
    cancelled: bool,
    /// Since when the worker has nothing in hand and waits.
    waiting_since: Instant,
    look_at: Instant,
    /// Kept here, because the wait for a delivery may be given up and begun anew meanwhile.
    looking: Option<Looking>,
    /// True if the last look saw messages that should have been sent.
    suspected: bool,
}

impl Session {
    /// Opens a session in a task of its own: a connection that is dropped before it is open could
    /// live on, with messages that nobody reads. What nobody waits for any more is closed.
    pub(super) fn begin(broker: Arc<Broker>, lane: Lane) -> Opening {
        let (made, session) = oneshot::channel();
        tokio::spawn(async move {
            if let Err(Ok(unwanted)) = made.send(Self::open(broker, lane).await) {
                close(&unwanted.connection).await;
            }
        });
        session
    }

    async fn open(broker: Arc<Broker>, lane: Lane) -> Result<Self, BrokerError> {
        let purpose = match lane {
            Lane::Work => "worker",
            Lane::Failed => "dead letters",
        };
        let connection = broker.connect(purpose).await?;
        let consuming = in_time(async {
            // Declared here too: a worker may be the first to see that a queue is gone.
            let channel = broker.declare(&connection).await?;
            channel
                .basic_qos(prefetch(lane), BasicQosOptions::default())
                .await
                .map_err(BrokerError::amqp("setting the prefetch"))?;
            let queue = broker.names.lane(lane);
            // Acknowledged by hand, and not exclusive: workers share the queue.
            let options = BasicConsumeOptions::default();
            let deliveries = channel
                .basic_consume(queue, short(""), options, FieldTable::default())
                .await
                .map_err(BrokerError::amqp("consuming"))?;
            // Once more: whoever took the queues over meanwhile has not seen this consumer.
            broker.declare_owner(&connection).await?;
            Ok((channel, deliveries))
        });
        match consuming.await {
            Ok((channel, deliveries)) => Ok(Self {
                broker,
                lane,
                connection: Arc::new(connection),
                channel,
                deliveries,
                cancelled: false,
                waiting_since: Instant::now(),
                look_at: Instant::now() + LOOK_INTERVAL,
                looking: None,
                suspected: false,
            }),
            Err(error) => {
                close(&connection).await;
                Err(error)
            }
        }
    }

    /// The channel on which it consumes.
    pub(super) const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Most deliveries that the broker leaves unsettled in this session.
    pub(super) fn prefetch(&self) -> usize {
        prefetch(self.lane).into()
    }

    /// True once the broker has cancelled the consumer. If that was because the queue was deleted,
    /// what has arrived exists nowhere else.
    pub(super) const fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Waits for the next delivery. `may_come` is false if the prefetch is used up by what the
    /// worker keeps: then nothing is to be expected.
    pub(super) async fn next(&mut self, may_come: bool) -> Result<Delivery, BrokerError> {
        loop {
            if !self.channel.status().connected() {
                // The broker has taken back everything that had arrived before.
                return Err(BrokerError::Lost);
            }
            if self.cancelled {
                return Err(BrokerError::Cancelled);
            }
            let idle = self.looking.is_none();
            let looking = async {
                match &mut self.looking {
                    Some(looking) => looking.await,
                    None => std::future::pending().await,
                }
            };
            let seen = tokio::select! {
                biased;
                delivery = self.deliveries.next() => return self.received(delivery),
                seen = looking => seen,
                () = tokio::time::sleep_until(self.look_at), if idle => {
                    self.looking = Some(self.begin_look());
                    continue;
                }
            };
            self.looking = None;
            self.look_at = Instant::now() + LOOK_INTERVAL;
            self.judge(seen?, may_come)?;
        }
    }

    /// Returns the next delivery that has arrived already, if there is one.
    pub(super) fn arrived(&mut self) -> Result<Option<Delivery>, BrokerError> {
        if self.cancelled {
            return Ok(None);
        }
        match self.deliveries.next().now_or_never() {
            None => Ok(None),
            Some(delivery) => match self.received(delivery) {
                // What arrived before it is still good.
                Err(BrokerError::Cancelled) => Ok(None),
                received => received.map(Some),
            },
        }
    }

    fn received(
        &mut self,
        delivery: Option<lapin::Result<Delivery>>,
    ) -> Result<Delivery, BrokerError> {
        self.wait_anew();
        let Some(delivery) = delivery else {
            self.cancelled = true;
            return Err(BrokerError::Cancelled);
        };
        delivery.map_err(BrokerError::amqp("consuming"))
    }

    /// Begins the wait for a delivery anew: something came, or something was settled.
    fn wait_anew(&mut self) {
        self.waiting_since = Instant::now();
        self.look_at = self.waiting_since + LOOK_INTERVAL;
        self.looking = None;
        self.suspected = false;
    }

    fn begin_look(&self) -> Looking {
        let connection = Arc::clone(&self.connection);
        let (broker, lane) = (Arc::clone(&self.broker), self.lane);
        let asked = async move {
            broker.declare_owner(&connection).await?;
            inspect(&connection, broker.names.lane(lane)).await
        };
        async {
            let answer = tokio::time::timeout(LOOK_TIME, asked).await;
            answer.unwrap_or(Err(BrokerError::NoAnswer))
        }
        .boxed()
    }

    fn judge(&mut self, seen: Option<QueueCounts>, may_come: bool) -> Result<(), BrokerError> {
        // Another process may have recreated the queue; this consumer is not attached to the new one.
        let messages = seen.ok_or(BrokerError::Missing)?.ready;
        if self.lane == Lane::Work {
            self.broker.watch.note_work_depth(messages);
        }
        let waited = self.waiting_since.elapsed();
        if messages == 0 || !may_come {
            self.suspected = false;
        } else if self.suspected && waited >= STANDSTILL {
            let seconds = waited.as_secs();
            let watch = &self.broker.watch;
            watch.count_standstill(self.lane, seconds, messages);
            return Err(BrokerError::Standstill { seconds, messages });
        } else {
            // They may have come a moment ago, and be on their way.
            self.suspected = true;
        }
        Ok(())
    }

    /// Acknowledges deliveries: each tag alone, or with all before it. All acks are in the connection's
    /// hands at the first poll, so giving up the wait takes none of them back.
    ///
    /// An acknowledgement has no answer. It waits for nothing but the socket, which takes no more
    /// once its buffer is full because the broker, stopped or cut off without a word, reads
    /// nothing; hence the time limit. A broker short of memory does not block this connection,
    /// which publishes nothing.
    ///
    /// They are sent after a cancellation too. A consumer that was cancelled for a message kept too
    /// long still holds those that came later (RabbitMQ 4.3); what was taken back, or was of a queue
    /// that is deleted, makes no difference to the broker.
    pub(super) async fn ack(&mut self, acks: Vec<Ack>) -> Result<(), BrokerError> {
        let channel = &self.channel;
        let sent = acks
            .into_iter()
            .map(|(tag, multiple)| channel.basic_ack(tag, BasicAckOptions { multiple }));
        in_time(async {
            let sent = try_join_all(sent).await;
            sent.map_err(BrokerError::amqp("acknowledging"))
        })
        .await?;
        self.wait_anew();
        Ok(())
    }

    /// Gives back in the background what a cancelled consumer still holds. Merely hanging up would
    /// count towards the delivery limit of each message (RabbitMQ 4.3).
    pub(super) fn retire(self) {
        tokio::spawn(async move {
            if let Err(error) = in_time(self.give_back()).await {
                debug!(
                    error = chain(&error),
                    "a cancelled consumer's messages were not given back; the broker takes them back itself"
                );
            }
        });
    }

    /// Gives back everything that is unsettled, and closes the connection. The caller sets the time
    /// limit.
    ///
    /// With `basic.nack`, not `basic.reject`: up to RabbitMQ 4.2 either counts towards the delivery
    /// limit, and from 4.3 on only the second does, which stands for a message that could not be
    /// processed (<https://github.com/rabbitmq/rabbitmq-server/pull/15387>).
    pub(super) async fn give_back(self) -> Result<(), BrokerError> {
        if !self.cancelled {
            // Cancelled first, or the broker would send everything again at once.
            self.channel
                .basic_cancel(self.deliveries.tag(), BasicCancelOptions::default())
                .await
                .map_err(BrokerError::amqp("cancelling the consumer"))?;
        }
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

const fn prefetch(lane: Lane) -> u16 {
    match lane {
        Lane::Work => PREFETCH_WORK,
        Lane::Failed => PREFETCH_FAILED,
    }
}
