//! Whether a process could do its work now, part by part.
//!
//! The parts are the queue (a message can be published), the store (it takes writes) and the
//! worker (its consumers are connected and nothing stands still); which of them a process needs is
//! decided where its roles are known. What its own work shows is believed; only what it does not
//! show is asked for, within a time that leaves room in the second that usual probes wait.

mod confirming;
mod fault;
mod progress;
mod stamp;
mod transitions;
mod trial;

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::timeout;

pub use fault::Fault;
pub use progress::Progress;

use confirming::Confirming;
use stamp::Stamp;
use transitions::Transitions;
use trial::Trials;

use super::spool;
use super::waiting::waiting_since;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::queue::{ConsumerHealth, Publisher};
use crate::store::{Store, StoreError};

/// The longest wait for one answer. Usual probes wait a second, and connections, scheduling and two
/// answers in a row must fit into it.
const ANSWER_TIME: Duration = Duration::from_millis(700);

/// The longest wait for what needs no network.
const SHORT_TIME: Duration = Duration::from_millis(150);

/// Where messages go.
#[derive(Clone)]
enum Queue {
    /// Into the store itself.
    Store,
    /// To a broker.
    Broker {
        publisher: Arc<dyn Publisher>,
        /// True if the store keeps what the broker does not take.
        spools: bool,
    },
}

/// What is known of the health of a process.
pub struct Health {
    store: Store,
    clock: Arc<dyn Clock>,
    trials: Trials,
    queue: Queue,
    confirmed: Arc<Stamp>,
    worker: Option<Working>,
    transitions: Transitions,
}

/// The worker of a process.
struct Working {
    progress: Progress,
    consumers: Vec<Arc<dyn ConsumerHealth>>,
}

impl Health {
    /// Watches a process whose queue is in the store.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            trials: Trials::new(store.clone(), Arc::clone(&clock)),
            store,
            clock,
            queue: Queue::Store,
            confirmed: Arc::default(),
            worker: None,
            transitions: Transitions::default(),
        }
    }

    /// Watches a process that publishes to a broker, and perhaps spools what that does not take.
    #[must_use]
    pub fn publishing(mut self, publisher: Arc<dyn Publisher>, spools: bool) -> Self {
        self.queue = Queue::Broker { publisher, spools };
        self
    }

    /// Watches the loops of a worker too, and what they receive from.
    #[must_use]
    pub fn working(mut self, progress: Progress, consumers: Vec<Arc<dyn ConsumerHealth>>) -> Self {
        self.worker = Some(Working {
            progress,
            consumers,
        });
        self
    }

    /// Wraps a publisher so that its confirms are remembered here.
    pub fn confirming(&self, publisher: Arc<dyn Publisher>) -> Arc<dyn Publisher> {
        Arc::new(Confirming {
            publisher,
            confirmed: Arc::clone(&self.confirmed),
        })
    }

    /// Logs when a part stops being ready, has another reason, or is ready again.
    pub fn note(&self, part: &'static str, fault: Option<&Fault>) {
        self.transitions.note(part, fault);
    }

    /// Checks that the store takes writes.
    ///
    /// # Errors
    /// When it does not, or not in time.
    pub async fn check_store(&self) -> Result<(), Fault> {
        self.trials.check(ANSWER_TIME).await
    }

    /// Checks that messages can be published, as far as is known without publishing one. The
    /// built-in queue is the store: see [`check_store`](Self::check_store).
    ///
    /// # Errors
    /// When the broker does not take messages.
    pub async fn check_publisher(&self) -> Result<(), Fault> {
        let Queue::Broker { publisher, .. } = &self.queue else {
            return Ok(());
        };
        match timeout(SHORT_TIME, publisher.ready()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Fault::broker_away()),
        }
    }

    /// True if messages that the queue does not take are kept in the store.
    pub fn spools(&self) -> bool {
        matches!(self.queue, Queue::Broker { spools: true, .. })
    }

    /// True if the queue is in the store.
    pub fn queues_in_store(&self) -> bool {
        matches!(self.queue, Queue::Store)
    }

    /// Checks that the worker gets messages and settles what it gets.
    ///
    /// # Errors
    /// When it is cut off from its queue, stands still, or has ended.
    pub async fn check_worker(&self) -> Result<(), Fault> {
        let Some(worker) = &self.worker else {
            return Ok(());
        };
        worker.progress.check()?;
        self.check_consumers().await
    }

    /// Checks that messages would reach the worker.
    ///
    /// # Errors
    /// When it is cut off from its queue.
    pub async fn check_consumers(&self) -> Result<(), Fault> {
        let consumers = self.worker.iter().flat_map(|it| &it.consumers);
        let asked = consumers.map(|it| it.ready());
        match timeout(ANSWER_TIME, try_join_all(asked)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Fault::broker_away()),
        }
    }

    /// Returns how long ago something was written to the store.
    pub fn since_write(&self) -> Option<Duration> {
        self.store.last_writes().succeeded.map(|at| at.elapsed())
    }

    /// Returns how long ago a message was confirmed by the queue.
    pub fn since_confirm(&self) -> Option<Duration> {
        self.confirmed.age()
    }

    /// Returns how long ago the worker settled a batch.
    pub fn since_settle(&self) -> Option<Duration> {
        self.worker.as_ref()?.progress.since_settle()
    }

    /// Returns the age of the oldest message that waits in the store, be it in the spool or in the
    /// built-in queue, or is in the worker's hands. What lies in a broker's queue is not seen.
    pub async fn oldest_message(&self) -> Option<Duration> {
        let waiting = timeout(ANSWER_TIME, self.oldest_in_store()).await;
        let waiting = waiting.ok().and_then(Result::ok).flatten();
        let now = self.clock.now();
        let progress = self.worker.as_ref().map(|it| &it.progress);
        let in_hand = progress.and_then(|it| it.oldest(now));
        let oldest = waiting.into_iter().chain(in_hand).min()?;
        let age = now.nanos().saturating_sub(oldest.nanos());
        u64::try_from(age).ok().map(Duration::from_nanos)
    }

    /// Counts the apps that are paused; `None` if the store does not say in time.
    pub async fn paused_apps(&self) -> Option<u64> {
        let asked = async { self.store.read().await?.pause_count().await };
        timeout(ANSWER_TIME, asked).await.ok()?.ok()
    }

    async fn oldest_in_store(&self) -> Result<Option<Timestamp>, StoreError> {
        match self.queue {
            Queue::Store => {
                let mut tx = self.store.read().await?;
                waiting_since(&mut tx, self.clock.now()).await
            }
            Queue::Broker { spools: true, .. } => {
                spool::oldest(&mut self.store.read().await?).await
            }
            Queue::Broker { spools: false, .. } => Ok(None),
        }
    }
}
