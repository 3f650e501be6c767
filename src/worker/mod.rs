//! The worker's loops: take a batch, have it processed, settle it.
//!
//! The work itself is in [`pipeline`](crate::pipeline), which knows no loop; here is the single
//! place that turns what became of a message into an acknowledgement, a retry or a dead letter.
//! Three loops run beside each other: events, dead letters, due times. All end when the
//! shutdown token is cancelled: what is in hand is finished, or given back unsettled.

mod pause;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::domain::event::EventError;
use crate::domain::retry::rest_after;
use crate::pipeline::process::{self, Disposition};
use crate::pipeline::{record, timers};
use crate::queue::{Consumer, Delivery, Message, Settlement};
use crate::store::{Store, StoreError};
use pause::Pause;

/// Most messages of one transaction. Beyond some hundreds the statements' own cost is spread
/// thin enough, and a larger batch only makes the first message wait for the last.
const BATCH: usize = 256;

/// How often due times are looked for: they shall be exact to the minute.
const TIMER_INTERVAL: Duration = Duration::from_secs(10);

/// What the loops work with.
#[derive(Clone)]
pub struct Worker {
    store: Store,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
}

/// Why a try at a batch failed.
enum TryError {
    /// The store is away; the messages are not to blame.
    Passing(StoreError),
    /// Some message breaks the batch.
    Broken(EventError),
}

impl Worker {
    /// A worker that ends when `shutdown` is cancelled.
    pub fn new(store: Store, clock: Arc<dyn Clock>, shutdown: CancellationToken) -> Self {
        Self {
            store,
            clock,
            shutdown,
        }
    }

    /// Runs all loops until shutdown.
    pub async fn run(self, work: impl Consumer, failed: impl Consumer) {
        let mut loops = JoinSet::new();
        loops.spawn(self.clone().run_events(work));
        loops.spawn(self.clone().run_dead_letters(failed));
        loops.spawn(self.run_timers());
        while let Some(ended) = loops.join_next().await {
            if let Err(error) = ended {
                error!(%error, "a worker loop ended by a defect; the process needs a restart");
            }
        }
    }

    async fn run_events(self, mut consumer: impl Consumer) {
        while let Some(deliveries) = self.next_batch(&mut consumer).await {
            let Some(settlements) = self.work_off(deliveries).await else {
                return;
            };
            if let Err(error) = consumer.settle(settlements).await {
                warn!(
                    error = chain(&error),
                    "settling a batch failed; its messages will come again"
                );
            }
        }
    }

    async fn run_dead_letters(self, mut consumer: impl Consumer) {
        while let Some(deliveries) = self.next_batch(&mut consumer).await {
            let mut settlements = Vec::with_capacity(deliveries.len());
            for delivery in deliveries {
                if !self.record(&delivery.message).await {
                    return;
                }
                settlements.push((delivery, Settlement::Ack));
            }
            if let Err(error) = consumer.settle(settlements).await {
                warn!(
                    error = chain(&error),
                    "settling dead letters failed; they will come again"
                );
            }
        }
    }

    async fn run_timers(self) {
        let mut pause = Pause::new();
        loop {
            match timers::run_due(&self.store, self.clock.now()).await {
                Ok(0) => pause = Pause::new(),
                Ok(customers) => {
                    pause = Pause::new();
                    info!(customers, "due times acted on");
                }
                Err(error) => {
                    warn!(
                        error = chain(&error),
                        "acting on due times failed; trying again"
                    );
                    if self.shut_down_within(pause.next()).await {
                        return;
                    }
                    continue;
                }
            }
            if self.shut_down_within(TIMER_INTERVAL).await {
                return;
            }
        }
    }

    /// The next batch, or `None` at shutdown. A queue that does not answer is asked again.
    async fn next_batch(&self, consumer: &mut impl Consumer) -> Option<Vec<Delivery>> {
        let mut pause = Pause::new();
        loop {
            let next = tokio::select! {
                () = self.shutdown.cancelled() => return None,
                next = consumer.next_batch(BATCH) => next,
            };
            match next {
                Ok(deliveries) => return Some(deliveries),
                Err(error) => {
                    warn!(
                        error = chain(&error),
                        "the queue did not answer; trying again"
                    );
                    if self.shut_down_within(pause.next()).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Processes a batch; when it breaks, each message alone. `None` at shutdown while the store
    /// is away: the messages then go back unsettled, with no attempt used up.
    async fn work_off(&self, deliveries: Vec<Delivery>) -> Option<Vec<(Delivery, Settlement)>> {
        let messages: Vec<&Message> = deliveries.iter().map(|it| &it.message).collect();
        let settlements = match self.try_until_store_answers(&messages).await? {
            Ok(dispositions) => {
                let settled = dispositions.into_iter().zip(&messages);
                settled
                    .map(|(disposition, message)| settlement(disposition, message))
                    .collect()
            }
            Err(_) if messages.len() > 1 => {
                warn!(
                    messages = messages.len(),
                    "a batch broke; each of its messages goes alone"
                );
                let mut settlements = Vec::with_capacity(messages.len());
                for message in messages {
                    settlements.push(self.work_off_alone(message).await?);
                }
                settlements
            }
            Err(error) => vec![self.failed_try(messages[0], error).await?],
        };
        Some(deliveries.into_iter().zip(settlements).collect())
    }

    async fn work_off_alone(&self, message: &Message) -> Option<Settlement> {
        match self.try_until_store_answers(&[message]).await? {
            Ok(dispositions) => {
                let mut settled = dispositions.into_iter().map(|it| settlement(it, message));
                settled.next()
            }
            Err(error) => self.failed_try(message, error).await,
        }
    }

    async fn try_until_store_answers(
        &self,
        messages: &[&Message],
    ) -> Option<Result<Vec<Disposition>, EventError>> {
        let mut pause = Pause::new();
        loop {
            match self.attempt(messages).await {
                Ok(dispositions) => return Some(Ok(dispositions)),
                Err(TryError::Broken(error)) => return Some(Err(error)),
                Err(TryError::Passing(error)) => {
                    warn!(
                        error = chain(&error),
                        "the store did not answer; trying again"
                    );
                    if self.shut_down_within(pause.next()).await {
                        return None;
                    }
                }
            }
        }
    }

    async fn attempt(&self, messages: &[&Message]) -> Result<Vec<Disposition>, TryError> {
        let processing = process::process(&self.store, messages, self.clock.now());
        // A panic in the domain is a defect of ours; it must cost one event, not the worker. The
        // transaction that it interrupts is dropped, which undoes it.
        match AssertUnwindSafe(processing).catch_unwind().await {
            Ok(Ok(dispositions)) => Ok(dispositions),
            Ok(Err(error)) if error.is_passing() => Err(TryError::Passing(error)),
            Ok(Err(error)) => Err(TryError::Broken(EventError {
                code: "store_refused".to_owned(),
                detail: chain(&error),
            })),
            Err(_panic) => Err(TryError::Broken(EventError {
                code: "defect".to_owned(),
                detail: "processing the event ended in a panic".to_owned(),
            })),
        }
    }

    /// An event that failed in a way that may pass: it rests and comes again, until its tries
    /// are used up.
    async fn failed_try(&self, message: &Message, error: EventError) -> Option<Settlement> {
        let headers = message.headers();
        let Some(delay) = rest_after(headers.attempt + 1) else {
            error!(event.id = headers.event_id, provider = %headers.provider, code = error.code,
                "an event failed for the last time");
            return Some(Settlement::Fail { error });
        };
        warn!(event.id = headers.event_id, provider = %headers.provider, code = error.code,
            attempt = headers.attempt + 1, "an event failed and will be tried again");
        let mut pause = Pause::new();
        loop {
            match process::note_pending(&self.store, message, &error, self.clock.now()).await {
                Err(error) if error.is_passing() => {
                    if self.shut_down_within(pause.next()).await {
                        return None;
                    }
                }
                // Whether the note could be written or not, the event itself is safe in the queue.
                Ok(()) | Err(_) => return Some(Settlement::Retry { delay, error }),
            }
        }
    }

    /// Records a dead letter; `false` at shutdown. One that can never be recorded is logged
    /// whole-heartedly and let go, or it would block all behind it.
    async fn record(&self, message: &Message) -> bool {
        let headers = message.headers();
        let mut pause = Pause::new();
        loop {
            match record::record(&self.store, message, self.clock.now()).await {
                Ok(()) => return true,
                Err(error) if error.is_passing() => {
                    warn!(
                        error = chain(&error),
                        "recording a dead letter failed; trying again"
                    );
                    if self.shut_down_within(pause.next()).await {
                        return false;
                    }
                }
                Err(error) => {
                    error!(event.id = headers.event_id, provider = %headers.provider,
                        app = %headers.app, error = chain(&error),
                        "a dead letter could not be recorded and is lost");
                    return true;
                }
            }
        }
    }

    async fn shut_down_within(&self, rest: Duration) -> bool {
        tokio::time::timeout(rest, self.shutdown.cancelled())
            .await
            .is_ok()
    }
}

/// What becomes of a message, by what became of its event.
fn settlement(disposition: Disposition, message: &Message) -> Settlement {
    let headers = message.headers();
    match disposition {
        Disposition::Done(outcome) => {
            debug!(event.id = headers.event_id, provider = %headers.provider,
                event.r#type = headers.event_type, %outcome, "event processed");
            Settlement::Ack
        }
        Disposition::Duplicate | Disposition::Redelivered => {
            debug!(event.id = headers.event_id, provider = %headers.provider, "duplicate counted");
            Settlement::Ack
        }
        Disposition::AppGone => {
            warn!(event.id = headers.event_id, provider = %headers.provider, app = %headers.app,
                "the app of an event is gone; the event is dropped");
            Settlement::Ack
        }
        Disposition::Final(error) => {
            error!(event.id = headers.event_id, provider = %headers.provider,
                event.r#type = headers.event_type, code = error.code, detail = error.detail,
                "an event cannot be understood");
            Settlement::Fail { error }
        }
    }
}

/// An error with all its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
