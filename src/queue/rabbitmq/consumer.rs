//! Consuming: deliveries in batches, settled by tags that are valid for one channel.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use lapin::BasicProperties;
use tokio::time::Instant;
use tracing::{error, warn};

use super::codec::{self, NotOurs};
use super::connection::{Broker, in_time};
use super::consumer_health::RabbitConsumerHealth;
use super::error::BrokerError;
use super::outgoing::Outgoing;
use super::publisher::PublishHandle;
use super::session::{Opening, Session};
use super::tags::{Ack, Tags};
use crate::causes::chain;
use crate::queue::{
    Consumer, ConsumerHealth, Delivery, GROUP_BYTES, Lane, Message, QueueError, Settlement,
};

/// The time between tries to publish a parked retry or dead letter.
const PARKED_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The delay before a message of a later version is offered again.
const UNKNOWN_VERSION_RETRY_INTERVAL: Duration = Duration::from_mins(10);

/// A consumer of one lane.
pub struct RabbitConsumer {
    broker: Arc<Broker>,
    publishing: PublishHandle,
    lane: Lane,
    session: Option<Session>,
    /// Kept here, because the wait for a batch may be given up and begun anew meanwhile: on a busy
    /// machine a session that is opened from the beginning each time might never be open.
    opening: Option<Opening>,
    health: Arc<RabbitConsumerHealth>,
    /// The number of the session. It is part of every tag, because the broker's own tags begin anew
    /// on every channel, and settling by an old one would settle another message.
    epoch: u16,
    tags: Tags,
    /// Ready to be handed out, and not yet, because the wait for the next batch was given up meanwhile.
    ready: Vec<Delivery>,
    parked: Vec<Parked>,
}

/// A retry or a dead letter that is not published yet. Its delivery stays unsettled until then:
/// giving it back would use up the delivery limit within seconds.
struct Parked {
    /// `None` if it is of a session that the broker cancelled, perhaps because the queue was
    /// deleted: then this is the last copy.
    tag: Option<u64>,
    outgoing: Outgoing,
}

impl RabbitConsumer {
    pub(super) fn new(broker: Arc<Broker>, publishing: PublishHandle, lane: Lane) -> Self {
        Self {
            broker,
            publishing,
            lane,
            session: None,
            opening: None,
            health: Arc::default(),
            epoch: 0,
            tags: Tags::default(),
            ready: Vec::new(),
            parked: Vec::new(),
        }
    }

    /// Returns what is known of its connection, also while it waits.
    pub fn health(&self) -> Arc<dyn ConsumerHealth> {
        Arc::clone(&self.health) as _
    }

    /// Ends the session. The broker puts back what is unsettled when it sees the connection end.
    fn leave(&mut self) {
        self.opening = None;
        let cancelled = self.session.take_if(|it| it.is_cancelled());
        self.session = None;
        self.health.lose();
        self.epoch = self.epoch.wrapping_add(1);
        self.tags = Tags::default();
        self.ready.clear();
        if let Some(session) = cancelled {
            session.retire();
            for parked in &mut self.parked {
                parked.tag = None;
            }
        }
        self.parked.retain(|it| it.tag.is_none());
    }

    fn lose(&mut self, error: BrokerError) -> QueueError {
        self.leave();
        QueueError::unavailable(error)
    }

    /// The next delivery, or `None` when it is time to try what is parked.
    async fn next(&mut self) -> Result<Option<lapin::message::Delivery>, BrokerError> {
        if self.session.is_none() {
            let begin = || Session::begin(Arc::clone(&self.broker), self.lane);
            let opening = self.opening.get_or_insert_with(begin);
            let opened = opening.await;
            self.opening = None;
            let session = opened.unwrap_or(Err(BrokerError::Lost))?;
            let queue = self.broker.names.lane(self.lane);
            self.health.begin(session.channel().clone(), queue);
            self.session = Some(session);
        }
        loop {
            let session = self.session.as_mut().ok_or(BrokerError::Lost)?;
            let parked = !self.parked.is_empty();
            let may_come = self.tags.unacknowledged() < session.prefetch();
            let acknowledge_at = self.tags.acknowledge_at();
            let rested = async {
                match acknowledge_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                delivery = session.next(may_come) => return delivery.map(Some),
                () = rested => {}
                () = tokio::time::sleep(PARKED_RETRY_INTERVAL), if parked => return Ok(None),
            }
            self.ack_rest().await?;
        }
    }

    /// Returns the first delivery and what else has arrived and fits into the batch. If the link
    /// turns out to be lost, nothing of it is in hand any more: it comes again. After a
    /// cancellation it may not, so what arrived before is handed out.
    fn take(
        &mut self,
        first: lapin::message::Delivery,
        most: usize,
    ) -> Result<Vec<lapin::message::Delivery>, BrokerError> {
        let mut bytes = first.data.len();
        let mut taken = vec![first];
        let session = self.session.as_mut().ok_or(BrokerError::Lost)?;
        while taken.len() < most && bytes < GROUP_BYTES {
            let Some(next) = session.arrived()? else {
                break;
            };
            bytes += next.data.len();
            taken.push(next);
        }
        self.tags.extend(taken.iter().map(|it| it.delivery_tag));
        Ok(taken)
    }

    /// Reads our message out of a delivery. For a foreign one the error is the tag to acknowledge,
    /// if any.
    ///
    /// A message of a later version is parked and comes again later, for a worker of that version.
    /// A message that is not ours at all is logged and dropped: without app, provider and id the
    /// ledger cannot record it, and it must not block other messages.
    fn read(&mut self, delivery: lapin::message::Delivery) -> Result<Delivery, Option<u64>> {
        let tag = delivery.delivery_tag;
        let properties = delivery.properties;
        let id = properties.message_id().as_ref();
        let id = id.map_or("none", |id| id.as_str());
        let headers = match codec::headers(&properties) {
            Err(NotOurs::Version(version)) => {
                warn!(
                    message.id = id,
                    version, "a message of a later version waits for a worker of that version"
                );
                let outgoing = Outgoing::unread_to_retry(
                    &self.broker.names,
                    &properties,
                    delivery.data.into(),
                    UNKNOWN_VERSION_RETRY_INTERVAL,
                );
                self.parked.push(Parked {
                    tag: Some(tag),
                    outgoing,
                });
                return Err(None);
            }
            headers => headers,
        };
        let size = delivery.data.len();
        let body = String::from_utf8(delivery.data).map_err(|_| NotOurs::Body);
        let message = headers.and_then(|headers| {
            Ok(Message {
                headers,
                body: body?.into(),
            })
        });
        let mut message = message.map_err(|reason| {
            error!(message.id = id, size, error = %reason,
                "dropped a foreign message from the queue");
            Some(tag)
        })?;
        if self.lane == Lane::Failed && self.was_dead_lettered(&properties) {
            // The error in its headers, if any, is of an earlier try, not the reason why it is
            // here.
            message.headers_mut().error = None;
        }
        Ok(Delivery {
            tag: join(self.epoch, tag),
            delivery_count: codec::delivery_count(&properties),
            message,
        })
    }

    /// Reads a batch, which is `ready` then.
    async fn batch(
        &mut self,
        first: lapin::message::Delivery,
        most: usize,
    ) -> Result<(), BrokerError> {
        let mut foreign = Vec::new();
        for delivery in self.take(first, most)? {
            match self.read(delivery) {
                Ok(delivery) => self.ready.push(delivery),
                Err(done) => foreign.extend(done),
            }
        }
        self.ack(foreign).await
    }

    /// Publishes parked retries and dead letters. Returns the deliveries of those that the broker
    /// confirmed.
    async fn unpark(&mut self) -> Vec<u64> {
        // They stay until their fate is known: if the wait is given up, they are published twice, which
        // the ledger notices.
        let sent = (self.parked.iter()).map(|it| self.publishing.send(it.outgoing.clone()));
        let sent = join_all(sent).await;
        let parked = std::mem::take(&mut self.parked);
        let mut done = Vec::new();
        let mut failed = None;
        for (parked, sent) in parked.into_iter().zip(sent) {
            match sent {
                Ok(()) => done.extend(parked.tag),
                Err(error) => {
                    failed = Some(error);
                    self.parked.push(parked);
                }
            }
        }
        if let Some(error) = failed {
            warn!(
                error = chain(&error),
                messages = self.parked.len(),
                "publishing retries or dead letters failed; they stay in hand"
            );
        }
        done
    }

    /// Settles tags. What is settled while an older one is not is acknowledged with that, or shortly after.
    async fn ack(&mut self, done: Vec<u64>) -> Result<(), BrokerError> {
        if done.is_empty() {
            return Ok(());
        }
        let acks = self.tags.settle(&done, Instant::now());
        self.send(acks).await
    }

    /// Acknowledges what is settled and still waits for older ones.
    async fn ack_rest(&mut self) -> Result<(), BrokerError> {
        let acks = self.tags.rest();
        self.send(acks).await
    }

    async fn send(&mut self, acks: Vec<Ack>) -> Result<(), BrokerError> {
        if acks.is_empty() {
            return Ok(());
        }
        let session = self.session.as_mut().ok_or(BrokerError::Lost)?;
        session.ack(acks).await
    }

    /// Tells whether the broker itself took the message out of the lane `work`, of this version of
    /// the queues or the one before.
    fn was_dead_lettered(&self, properties: &BasicProperties) -> bool {
        let names = &self.broker.names;
        [names.work(), names.before().work()]
            .iter()
            .any(|queue| codec::was_dead_lettered_from(properties, queue))
    }

    /// Returns the broker's tag, if the delivery belongs to this session.
    fn own_tag(&self, delivery: &Delivery) -> Option<u64> {
        let (epoch, tag) = split(delivery.tag);
        (self.session.is_some() && epoch == self.epoch && self.tags.has_unsettled(tag))
            .then_some(tag)
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next_batch(&mut self, most: usize) -> Result<Vec<Delivery>, QueueError> {
        loop {
            if !self.ready.is_empty() {
                return Ok(std::mem::take(&mut self.ready));
            }
            let next = self.next().await.map_err(|error| self.lose(error))?;
            if let Some(first) = next {
                let batch = self.batch(first, most.max(1)).await;
                batch.map_err(|error| self.lose(error))?;
            } else {
                let done = self.unpark().await;
                self.ack(done).await.map_err(|error| self.lose(error))?;
            }
        }
    }

    async fn settle(&mut self, settlements: Vec<(Delivery, Settlement)>) -> Result<(), QueueError> {
        let mut done = Vec::new();
        for (delivery, settlement) in settlements {
            let Some(tag) = self.own_tag(&delivery) else {
                // The broker has put them back already; the next consumer settles them. The current
                // session, if there is one, is not affected.
                return Err(if split(delivery.tag).0 == self.epoch {
                    self.lose(BrokerError::Lost)
                } else {
                    QueueError::unavailable(BrokerError::Lost)
                });
            };
            let mut message = delivery.message;
            let mut failed = |error| {
                let headers = message.headers_mut();
                headers.attempt += 1;
                headers.error = Some(error);
            };
            let names = &self.broker.names;
            let outgoing = match settlement {
                Settlement::Ack => {
                    done.push(tag);
                    continue;
                }
                Settlement::Retry { delay, error } => {
                    failed(error);
                    Outgoing::to_retry(names, message, delay)
                }
                Settlement::Fail { error } => {
                    failed(error);
                    Outgoing::to_failed(names, message)
                }
            };
            self.parked.push(Parked {
                tag: Some(tag),
                outgoing,
            });
        }
        // A crash between publish and ack delivers such a message twice, which the ledger notices;
        // in the other order it would be lost.
        done.extend(self.unpark().await);
        self.ack(done).await.map_err(|error| self.lose(error))
    }

    async fn finish(&mut self) {
        if let Err(error) = self.ack_rest().await {
            warn!(
                error = chain(&error),
                "acknowledging at the end failed; the messages will come again"
            );
        }
    }

    async fn give_back(&mut self, deliveries: Vec<Delivery>) {
        drop(deliveries);
        self.finish().await;
        if let Some(session) = self.session.take() {
            let given_back = in_time(session.give_back()).await;
            if let Err(error) = given_back {
                // The broker itself puts back what was unsettled on a lost connection.
                warn!(
                    error = chain(&error),
                    "giving messages back to the broker failed"
                );
            }
        }
        self.leave();
    }
}

/// Joins sixteen bits of epoch and forty-eight of the broker's tag: enough for a century of
/// deliveries on one channel, and for an old tag to be recognised.
fn join(epoch: u16, tag: u64) -> u64 {
    (u64::from(epoch) << 48) | tag
}

fn split(tag: u64) -> (u16, u64) {
    let epoch = u16::try_from(tag >> 48).unwrap_or_default();
    (epoch, tag & ((1 << 48) - 1))
}
