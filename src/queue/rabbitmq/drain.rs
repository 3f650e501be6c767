//! Empties the queues of the version before, whose arguments could not be changed.
//!
//! Whoever runs a worker of this version moves what the older queues hold into its own, each
//! message with a confirmed publish before the acknowledgement, and deletes an older queue once it
//! is empty and nobody uses it. Receivers and workers of the older version may go on meanwhile:
//!
//! - Their publishes go to an exchange, and from there to the newest queue. When such a process
//!   connects it binds its own queue to that exchange again; until that is undone here, messages
//!   reach both, which the ledger notices by their receipts.
//! - Their workers consume their own queue for as long as it exists; one with consumers is not
//!   deleted.
//! - Their retries lie in the older queues for delays until their time is over, and come back
//!   through the exchange too.
//!
//! A quorum queue cannot be deleted on condition that it is empty and unused. So it is looked at
//! for a while first; and since a broker in trouble tells of a queue that it has no messages, the
//! last look asks for one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt, StreamExt, TryFutureExt};
use lapin::Connection;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions,
    QueueDeleteOptions,
};
use lapin::types::{FieldTable, ShortString};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::codec;
use super::connection::{Broker, close, in_time, inspect, open_channel};
use super::error::BrokerError;
use super::outgoing::Outgoing;
use super::publisher::PublishHandle;
use crate::causes::chain;
use crate::domain::retry;
use crate::queue::names::{FAILED_KEY, WORK_KEY, short};
use crate::queue::topology::{self, QueueCounts};

/// The time between looks while an older queue exists.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The time between looks when there is none: a process of the version before could start late, and
/// declare its queues again.
const RARE_LOOK_INTERVAL: Duration = Duration::from_mins(10);

/// The time for which a queue of the version before must be empty and unused before it is deleted.
#[derive(Clone, Copy, Debug)]
pub struct IdlePeriods {
    /// Of the queue of a lane. Default 10 s.
    pub lane: Duration,
    /// Of a queue for delays. Default 10 min: a message that leaves one for a full work queue is in
    /// neither count, and the broker offers it again only after three minutes.
    pub delays: Duration,
}

impl Default for IdlePeriods {
    fn default() -> Self {
        Self {
            lane: Duration::from_secs(10),
            delays: Duration::from_mins(10),
        }
    }
}

/// The time after which a queue has sent everything that it had.
const RUN_DRY: Duration = Duration::from_secs(2);

/// Messages that are moved at once. No more, because all of them come one step closer to the older
/// queue's delivery limit when the connection is lost.
const BATCH: u16 = 128;

/// The time between tries to publish what this version's queue refused.
const REFUSED_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// A lane's queue of the version before.
struct OlderLane {
    queue: ShortString,
    /// The exchange that it is bound to.
    exchange: ShortString,
    key: &'static str,
    /// The queue of this version.
    newer: ShortString,
}

/// Empties older queues until shutdown.
pub(super) struct Drain {
    broker: Arc<Broker>,
    publishing: PublishHandle,
    shutdown: CancellationToken,
    patience: IdlePeriods,
    /// Since when a queue has been seen empty and unused.
    quiet: BTreeMap<ShortString, Instant>,
}

impl Drain {
    pub(super) fn new(
        broker: Arc<Broker>,
        publishing: PublishHandle,
        patience: IdlePeriods,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            broker,
            publishing,
            shutdown,
            patience,
            quiet: BTreeMap::new(),
        }
    }

    fn lanes(&self) -> [OlderLane; 2] {
        let names = &self.broker.names;
        let before = names.before();
        let work = OlderLane {
            queue: before.work(),
            exchange: names.events(),
            key: WORK_KEY,
            newer: names.work(),
        };
        let failed = OlderLane {
            queue: before.failed(),
            exchange: names.dead_letters(),
            key: FAILED_KEY,
            newer: names.failed(),
        };
        [work, failed]
    }

    pub(super) async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        let endless = async {
            loop {
                let rest = match Box::pin(self.round()).await {
                    Ok(true) => LOOK_INTERVAL,
                    Ok(false) => RARE_LOOK_INTERVAL,
                    Err(error) => {
                        warn!(
                            error = chain(&error),
                            "emptying the queues of the version before failed; trying again"
                        );
                        LOOK_INTERVAL
                    }
                };
                tokio::time::sleep(rest).await;
            }
        };
        // What is being moved when this ends stays in the older queue, or is in both.
        shutdown.run_until_cancelled(endless).await;
    }

    /// Looks at all older queues. Returns true if any is left.
    async fn round(&mut self) -> Result<bool, BrokerError> {
        let connection = self.broker.connect("older queues").await?;
        let visited = self.visit_all(&connection).await;
        close(&connection).await;
        visited
    }

    async fn visit_all(&mut self, connection: &Connection) -> Result<bool, BrokerError> {
        let mut left = false;
        for lane in self.lanes() {
            left |= self.visit_lane(connection, &lane).await?;
        }
        Ok(self.visit_delays(connection, left).await? || left)
    }

    /// Does what has to be done about the queue of a lane. Returns true if it exists.
    async fn visit_lane(
        &mut self,
        connection: &Connection,
        lane: &OlderLane,
    ) -> Result<bool, BrokerError> {
        let Some(seen) = in_time(inspect(connection, lane.queue.clone())).await? else {
            self.quiet.remove(&lane.queue);
            return Ok(false);
        };
        in_time(unbind(connection, lane)).await?;
        if seen.ready > 0 {
            self.empty(connection, lane).await?;
        }
        if !seen.is_idle() || !self.is_quiet(&lane.queue, self.patience.lane) {
            if !seen.is_idle() {
                self.quiet.remove(&lane.queue);
            }
            return Ok(true);
        }
        self.delete(connection, &lane.queue).await
    }

    /// Does what has to be done about the queues for delays, which empty themselves. They belong to
    /// the workers of their version, so they go after the lanes. Returns true if any exists.
    async fn visit_delays(
        &mut self,
        connection: &Connection,
        in_use: bool,
    ) -> Result<bool, BrokerError> {
        let names = &self.broker.names;
        let (work, before) = (names.work(), names.before());
        let delays: Vec<_> = retry::delays().map(|delay| before.retry(delay)).collect();
        let Some(last) = delays.last() else {
            return Ok(false);
        };
        // It is the last to be deleted: without it there is none. The broker logs each look at a
        // queue that is missing.
        if in_time(inspect(connection, last.clone())).await?.is_none() {
            return Ok(false);
        }
        // What is on its way out of such a queue, and was refused by a full work queue, is in no
        // count; after a moment without a backlog, and some time, there is no such message.
        let backlog = in_time(inspect(connection, work)).await?;
        let may_begin = backlog.is_some_and(|it| it.ready == 0);
        let mut left = false;
        for queue in &delays {
            let Some(seen) = in_time(inspect(connection, queue.clone())).await? else {
                continue;
            };
            if !seen.is_idle() || in_use || (queue == last && left) {
                self.quiet.remove(queue);
                left = true;
            } else if !may_begin && !self.quiet.contains_key(queue) {
                left = true;
            } else if self.is_quiet(queue, self.patience.delays) {
                left |= self.delete(connection, queue).await?;
            } else {
                left = true;
            }
        }
        Ok(left)
    }

    /// Tells whether an idle queue has been idle for so long; the time begins with the first call.
    fn is_quiet(&mut self, queue: &ShortString, time: Duration) -> bool {
        let since = self.quiet.entry(queue.clone());
        since.or_insert_with(Instant::now).elapsed() >= time
    }

    /// Deletes a queue if there is really nothing in it. Returns true if it stays.
    async fn delete(
        &mut self,
        connection: &Connection,
        queue: &ShortString,
    ) -> Result<bool, BrokerError> {
        self.quiet.remove(queue);
        let deleted = in_time(delete(connection, queue)).await?;
        if deleted {
            info!(
                queue = queue.as_str(),
                "deleted an empty queue of the version before"
            );
        }
        Ok(!deleted)
    }

    /// Moves messages until the queue has no more.
    async fn empty(&self, connection: &Connection, lane: &OlderLane) -> Result<(), BrokerError> {
        let consuming = in_time(async {
            let channel = open_channel(connection).await?;
            channel
                .basic_qos(BATCH, BasicQosOptions::default())
                .await
                .map_err(BrokerError::amqp("setting the prefetch"))?;
            let options = BasicConsumeOptions::default();
            let deliveries = channel
                .basic_consume(
                    lane.queue.clone(),
                    short(""),
                    options,
                    FieldTable::default(),
                )
                .await
                .map_err(BrokerError::amqp("consuming"))?;
            Ok((channel, deliveries))
        });
        let (channel, mut deliveries) = consuming.await?;
        let mut moved = 0;
        while let Ok(first) = tokio::time::timeout(RUN_DRY, deliveries.next()).await {
            // The queue was deleted by somebody: nothing is left to move.
            let Some(first) = first else { break };
            let mut batch = vec![first.map_err(BrokerError::amqp("consuming"))?];
            while let Some(Some(next)) = deliveries.next().now_or_never() {
                batch.push(next.map_err(BrokerError::amqp("consuming"))?);
            }
            moved += batch.len();
            let last = self.publish(batch, &lane.newer).await;
            let all = BasicAckOptions { multiple: true };
            let acknowledged = channel.basic_ack(last, all);
            in_time(acknowledged.map_err(BrokerError::amqp("acknowledging"))).await?;
        }
        if moved > 0 {
            info!(
                queue = lane.queue.as_str(),
                to = lane.newer.as_str(),
                messages = moved,
                "moved messages of the version before"
            );
        }
        let closed = channel.close(200, "done".into());
        in_time(closed.map_err(BrokerError::amqp("closing a channel"))).await
    }

    /// Publishes all of a batch, however long that takes, and returns the tag of the last.
    async fn publish(&self, batch: Vec<Delivery>, newer: &ShortString) -> u64 {
        let last = batch.last().map_or(0, |it| it.delivery_tag);
        let mut left: Vec<_> = batch
            .into_iter()
            .map(|it| {
                Outgoing::to_queue(newer.clone(), codec::moved(&it.properties), it.data.into())
            })
            .collect();
        loop {
            let publishing = &self.publishing;
            let sent = join_all(left.iter().map(|it| publishing.send(it.clone()))).await;
            let refused = left.into_iter().zip(sent).filter(|(_, sent)| sent.is_err());
            left = refused.map(|(outgoing, _)| outgoing).collect();
            if left.is_empty() {
                return last;
            }
            tokio::time::sleep(REFUSED_RETRY_INTERVAL).await;
        }
    }
}

async fn unbind(connection: &Connection, lane: &OlderLane) -> Result<(), BrokerError> {
    let channel = open_channel(connection).await?;
    channel
        .queue_unbind(
            lane.queue.clone(),
            lane.exchange.clone(),
            short(lane.key),
            FieldTable::default(),
        )
        .await
        .map_err(BrokerError::amqp("taking an older queue off its exchange"))
}

/// Deletes a queue if a message cannot be had from it, and nobody consumes it. Returns false if it
/// stays.
async fn delete(connection: &Connection, queue: &ShortString) -> Result<bool, BrokerError> {
    let channel = open_channel(connection).await?;
    let doing = "looking for a message in an older queue";
    let got = channel.basic_get(queue.clone(), BasicGetOptions::default());
    if let Some(got) = got.await.map_err(BrokerError::amqp(doing))? {
        let back = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        let given_back = channel.basic_nack(got.delivery.delivery_tag, back).await;
        return given_back.map(|()| false).map_err(BrokerError::amqp(doing));
    }
    let seen = topology::inspect(&channel, queue.clone()).await?;
    if !seen.is_some_and(QueueCounts::is_idle) {
        return Ok(seen.is_none());
    }
    channel
        .queue_delete(queue.clone(), QueueDeleteOptions::default())
        .await
        .map(|_| true)
        .map_err(BrokerError::amqp("deleting an older queue"))
}
