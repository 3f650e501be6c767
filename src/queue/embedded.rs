//! The built-in queue: rows in the store, for one process.
//!
//! A publish returns when its row is committed. Publishes that wait at the same time share one
//! commit, so that many senders cost one write to the disk, not one each. A consumer does not
//! poll: a publish wakes it, and for a delayed message it sleeps until that is due. Which messages
//! a worker has in hand is known only in memory; after a crash every row that was not settled is
//! simply still there. That is why only one process may serve a data folder or a database at a time

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::info;

use super::message::Headers;
use super::{
    Consumer, Delivery, Depths, GROUP_BYTES, Lane, Message, Publisher, QueueError, Settlement,
};
use crate::clock::Clock;
use crate::domain::retry;
use crate::domain::time::Timestamp;
use crate::store::{MessageMove, NewMessage, Rest, Store, StoreError, StoredMessage, Tx};

/// Most publishes that share one commit. Larger groups gain nothing: the rows then cost more
/// than the commit.
const GROUP: usize = 256;

/// The longest sleep of a consumer. Publishes of its own process wake it; this limit is for
/// messages that another process wrote into the store, such as the command `events replay`.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);

/// The queue of one process. Cheap to clone.
#[derive(Clone)]
pub struct EmbeddedQueue {
    shared: Arc<Shared>,
    publishes: mpsc::Sender<Publish>,
}

struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    work: LaneState,
    failed: LaneState,
    /// What the clock showed at the last look at the lane `work`.
    looked_at: tokio::sync::Mutex<Option<Timestamp>>,
}

#[derive(Default)]
struct LaneState {
    /// Notified when a message has come or has been given back.
    wakeup: Notify,
    /// Rows that a consumer has taken and not settled yet.
    taken: Mutex<BTreeSet<i64>>,
    /// Locked while rows are chosen, so that two consumers cannot choose the same.
    choosing: tokio::sync::Mutex<()>,
}

struct Publish {
    message: Message,
    done: oneshot::Sender<Result<(), Arc<dyn Error + Send + Sync>>>,
}

impl EmbeddedQueue {
    /// Creates the queue over a store. Must be called within a runtime: a spawned task makes the
    /// commits, and ends with the last clone of the queue.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        let (publishes, inbox) = mpsc::channel(GROUP);
        let shared = Arc::new(Shared {
            store,
            clock,
            work: LaneState::default(),
            failed: LaneState::default(),
            looked_at: tokio::sync::Mutex::default(),
        });
        tokio::spawn(commit_groups(Arc::clone(&shared), inbox));
        Self { shared, publishes }
    }

    /// Creates a consumer of a lane. Several consumers share its messages.
    pub fn consumer(&self, lane: Lane) -> EmbeddedConsumer {
        EmbeddedConsumer {
            shared: Arc::clone(&self.shared),
            lane,
            unsettled: BTreeSet::new(),
        }
    }
}

#[async_trait]
impl Publisher for EmbeddedQueue {
    async fn publish(&self, message: Message) -> Result<(), QueueError> {
        let (done, answer) = oneshot::channel();
        self.publishes
            .send(Publish { message, done })
            .await
            .map_err(|_| QueueError::Closed)?;
        answer
            .await
            .map_err(|_| QueueError::Closed)?
            .map_err(|source| QueueError::Unavailable { source })
    }

    async fn ready(&self) -> Result<(), QueueError> {
        let counted = async {
            self.shared
                .store
                .read()
                .await?
                .message_next_due(Lane::Work.name(), [])
                .await
        };
        counted.await.map(|_| ()).map_err(QueueError::unavailable)
    }

    async fn depths(&self) -> Result<Depths, QueueError> {
        self.shared.depths().await.map_err(QueueError::unavailable)
    }
}

/// Takes the waiting publishes, as many as may share a commit, and commits them together.
async fn commit_groups(shared: Arc<Shared>, mut inbox: mpsc::Receiver<Publish>) {
    while let Some(first) = inbox.recv().await {
        let mut bytes = 0;
        let (mut messages, mut waiting) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(Publish { message, done }) = next {
            // A caller that gave up was told to send the message again: storing this one too would
            // only add work, most of all under overload.
            if !done.is_closed() {
                bytes += message.body.len();
                messages.push(message);
                waiting.push(done);
            }
            let full = messages.len() >= GROUP || bytes >= GROUP_BYTES;
            next = if full { None } else { inbox.try_recv().ok() };
        }
        if messages.is_empty() {
            continue;
        }
        let result = shared.add(messages).await.map_err(Arc::new);
        if result.is_ok() {
            shared.work.wakeup.notify_waiters();
            shared.work.wakeup.notify_one();
        }
        for done in waiting {
            // A sender that has gone away no longer waits for its answer; the row stays.
            let _ = done.send(result.clone().map_err(|error| error as Arc<_>));
        }
    }
}

impl Shared {
    async fn add(&self, messages: Vec<Message>) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        put(&mut tx, messages).await?;
        tx.commit().await
    }

    async fn depths(&self) -> Result<Depths, StoreError> {
        let mut tx = self.store.read().await?;
        let resting = tx.message_resting(Lane::Work.name(), self.rest()).await?;
        let with_count = |(tries, delay)| (delay, resting.get(&tries).copied().unwrap_or_default());
        let retry: Vec<_> = (1_u32..).zip(retry::delays()).map(with_count).collect();
        let resting: u64 = retry.iter().map(|(_, count)| count).sum();
        // Whatever does not rest for a retry counts as work, so that nothing is in no count.
        let all = tx.message_count(Lane::Work.name()).await?;
        Ok(Depths {
            work: all.saturating_sub(resting),
            retry,
            failed: tx.message_count(Lane::Failed.name()).await?,
        })
    }

    /// Only retries rest, none longer than the longest delay.
    fn rest(&self) -> Rest {
        Rest {
            now: self.clock.now(),
            longest: retry::delays().max().unwrap_or_default(),
        }
    }

    /// Makes due what rests for longer than its own delay, because the clock was ahead when it was
    /// given its time. That is looked for only at the start and when the clock has gone back: in
    /// an outage many messages rest.
    async fn recall(&self) -> Result<(), StoreError> {
        let mut looked_at = self.looked_at.lock().await;
        let now = self.clock.now();
        if looked_at.is_none_or(|before| now < before) {
            let mut tx = self.store.begin().await?;
            let longest = (1_u32..).zip(retry::delays());
            let recalled = tx.message_recall(Lane::Work.name(), now, longest).await?;
            tx.commit().await?;
            if recalled > 0 {
                info!(
                    messages = recalled,
                    "the clock was set back; retries that would rest too long are due now"
                );
            }
        }
        *looked_at = Some(now);
        Ok(())
    }

    const fn lane(&self, lane: Lane) -> &LaneState {
        match lane {
            Lane::Work => &self.work,
            Lane::Failed => &self.failed,
        }
    }
}

impl LaneState {
    fn taken<T>(&self, change: impl FnOnce(&mut BTreeSet<i64>) -> T) -> T {
        change(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Puts messages into the built-in queue's lane `work` within the caller's transaction: for a
/// process that does not serve the queue itself.
///
/// # Errors
/// When the store fails.
pub async fn put(tx: &mut Tx, messages: Vec<Message>) -> Result<(), StoreError> {
    let new = messages.into_iter().map(|message| {
        Ok(NewMessage {
            headers: header_text(&message.headers)?,
            body: message.body.to_string(),
        })
    });
    let new = new.collect::<Result<_, StoreError>>()?;
    tx.message_add(Lane::Work.name(), new).await
}

fn header_text(headers: &Headers) -> Result<String, StoreError> {
    serde_json::to_string(headers).map_err(|source| StoreError::Document { source })
}

fn message_of(stored: StoredMessage) -> Result<Delivery, StoreError> {
    let headers =
        serde_json::from_str(&stored.headers).map_err(|source| StoreError::Document { source })?;
    Ok(Delivery {
        tag: tag(stored.seq),
        delivery_count: 0,
        message: Message {
            headers,
            body: stored.body.into(),
        },
    })
}

/// Takes messages from one lane. Unsettled ones go back when it is dropped.
pub struct EmbeddedConsumer {
    shared: Arc<Shared>,
    lane: Lane,
    unsettled: BTreeSet<i64>,
}

impl EmbeddedConsumer {
    fn state(&self) -> &LaneState {
        self.shared.lane(self.lane)
    }

    /// Takes the messages that are due now; if there are none, tells when the next one will be.
    async fn choose(
        &mut self,
        most: usize,
    ) -> Result<Result<Vec<Delivery>, Option<Timestamp>>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let state = shared.lane(self.lane);
        let _choosing = state.choosing.lock().await;
        if self.lane == Lane::Work {
            shared.recall().await?;
        }
        let taken = state.taken(|rows| rows.clone());
        let mut tx = shared.store.read().await?;
        let due = tx
            .message_due(
                self.lane.name(),
                shared.rest(),
                taken.clone(),
                (most, GROUP_BYTES),
            )
            .await?;
        if due.is_empty() {
            return Ok(Err(tx.message_next_due(self.lane.name(), taken).await?));
        }
        let seqs: Vec<i64> = due.iter().map(|stored| stored.seq).collect();
        state.taken(|rows| rows.extend(&seqs));
        self.unsettled.extend(&seqs);
        due.into_iter()
            .map(message_of)
            .collect::<Result<_, _>>()
            .map(Ok)
    }

    fn release(&mut self, seqs: &[i64]) {
        self.unsettled.retain(|seq| !seqs.contains(seq));
        self.state()
            .taken(|rows| rows.retain(|seq| !seqs.contains(seq)));
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next_batch(&mut self, most: usize) -> Result<Vec<Delivery>, QueueError> {
        loop {
            let shared = Arc::clone(&self.shared);
            // Listen first, then look, so that a message that arrives in between is not missed.
            let woken = shared.lane(self.lane).wakeup.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            match self.choose(most).await.map_err(QueueError::unavailable)? {
                Ok(deliveries) => return Ok(deliveries),
                Err(due_at) => {
                    let now = shared.clock.now().nanos();
                    let wait = due_at.map_or(i64::MAX, |due_at| due_at.nanos().saturating_sub(now));
                    let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or_default());
                    // Whichever comes first: both lead to another look.
                    let _ = tokio::time::timeout(wait.min(LONGEST_SLEEP), woken).await;
                }
            }
        }
    }

    async fn settle(&mut self, settlements: Vec<(Delivery, Settlement)>) -> Result<(), QueueError> {
        let now = self.shared.clock.now();
        let seqs: Vec<i64> = settlements
            .iter()
            .map(|(delivery, _)| seq(delivery.tag))
            .collect();
        let mut done = Vec::new();
        let mut moves = Vec::new();
        for (delivery, settlement) in settlements {
            let seq = seq(delivery.tag);
            let mut message = delivery.message;
            let (lane, due_at, error) = match settlement {
                Settlement::Ack => {
                    done.push(seq);
                    continue;
                }
                Settlement::Retry { delay, error } => (Lane::Work, Some(now.plus(delay)), error),
                Settlement::Fail { error } => (Lane::Failed, None, error),
            };
            let headers = message.headers_mut();
            headers.attempt += 1;
            headers.error = Some(error);
            let headers = header_text(&message.headers).map_err(QueueError::unavailable)?;
            moves.push(MessageMove {
                seq,
                lane: lane.name(),
                due_at,
                headers,
            });
        }
        let written = async {
            let mut tx = self.shared.store.begin().await?;
            tx.message_settle(done, &moves).await?;
            tx.commit().await
        };
        let result = written.await.map_err(QueueError::unavailable);
        // After an error too: the rows are unchanged and will be chosen again.
        self.release(&seqs);
        if !moves.is_empty() || result.is_err() {
            self.shared.work.wakeup.notify_one();
            self.shared.failed.wakeup.notify_one();
        }
        result
    }

    async fn give_back(&mut self, deliveries: Vec<Delivery>) {
        let seqs: Vec<i64> = deliveries.iter().map(|it| seq(it.tag)).collect();
        self.release(&seqs);
        self.state().wakeup.notify_one();
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        let unsettled: Vec<i64> = self.unsettled.iter().copied().collect();
        if !unsettled.is_empty() {
            self.release(&unsettled);
            self.state().wakeup.notify_one();
        }
    }
}

/// Rows are numbered from 1, so a tag and a row number are the same number.
fn tag(seq: i64) -> u64 {
    seq.unsigned_abs()
}

fn seq(tag: u64) -> i64 {
    i64::try_from(tag).unwrap_or(i64::MAX)
}
