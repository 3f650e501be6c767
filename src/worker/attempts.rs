//! One message, or one batch, tried: what became of it, and what the queue is told.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt;
use tracing::{debug, error, warn};

use super::Worker;
use super::pause::Pause;
use super::stop::Stop;
use crate::causes::chain;
use crate::domain::event::EventError;
use crate::domain::retry::rest_after;
use crate::pipeline::process::{self, Disposition, ProcessError};
use crate::pipeline::record;
use crate::queue::{Delivery, Message, Settlement};

/// How often a message that the broker gave up is tried alone. One that kills the process each
/// time is recorded after that.
const TRIES_ALONE: u32 = 3;

/// Why a try at a batch failed.
enum TryError {
    /// The store is away; the messages are not to blame.
    Passing(ProcessError),
    /// Some message breaks the batch.
    Broken(EventError),
}

impl Worker {
    /// Processes a batch; when it breaks, each message alone.
    pub(super) async fn work_off(&self, deliveries: &[Delivery]) -> Result<Vec<Settlement>, Stop> {
        let messages: Vec<&Message> = deliveries.iter().map(|it| &it.message).collect();
        match self.try_until_store_answers(&messages).await? {
            Ok(dispositions) => {
                let settled = dispositions.into_iter().zip(&messages);
                Ok(settled
                    .map(|(disposition, message)| settlement(disposition, message))
                    .collect())
            }
            Err(_) if messages.len() > 1 => {
                warn!(
                    messages = messages.len(),
                    "batch failed; retrying its messages one by one"
                );
                let mut settlements = Vec::with_capacity(messages.len());
                for message in messages {
                    settlements.push(self.work_off_alone(message).await?);
                }
                Ok(settlements)
            }
            Err(error) => Ok(vec![self.failed_try(messages[0], error).await?]),
        }
    }

    async fn work_off_alone(&self, message: &Message) -> Result<Settlement, Stop> {
        match self.try_alone(message).await? {
            Ok(disposition) => Ok(settlement(disposition, message)),
            Err(error) => self.failed_try(message, error).await,
        }
    }

    async fn try_alone(&self, message: &Message) -> Result<Result<Disposition, EventError>, Stop> {
        let tried = self.try_until_store_answers(&[message]).await?;
        Ok(tried.and_then(|dispositions| {
            dispositions.into_iter().next().ok_or_else(|| EventError {
                code: "defect".to_owned(),
                detail: "processing the event had no outcome".to_owned(),
            })
        }))
    }

    async fn try_until_store_answers(
        &self,
        messages: &[&Message],
    ) -> Result<Result<Vec<Disposition>, EventError>, Stop> {
        let mut outage = Outage::default();
        loop {
            match self.attempt(messages).await {
                Ok(dispositions) => return Ok(Ok(dispositions)),
                Err(TryError::Broken(error)) => return Ok(Err(error)),
                Err(TryError::Passing(error)) => self.wait_out_outage(&mut outage, &error).await?,
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
    async fn failed_try(&self, message: &Message, error: EventError) -> Result<Settlement, Stop> {
        let headers = message.headers();
        let Some(delay) = rest_after(headers.attempt + 1) else {
            error!(event.id = headers.event_id, provider = %headers.provider, error.code = error.code,
                "an event failed for the last time");
            return Ok(Settlement::Fail { error });
        };
        warn!(event.id = headers.event_id, provider = %headers.provider, error.code = error.code,
            attempt = headers.attempt + 1, "an event failed and will be tried again");
        let mut outage = Outage::default();
        loop {
            match process::note_pending(&self.store, message, &error, self.clock.now()).await {
                Err(away) if away.is_passing() => self.wait_out_outage(&mut outage, &away).await?,
                // Whether the note could be written or not, the event itself is safe in the queue.
                Ok(()) | Err(_) => return Ok(Settlement::Retry { delay, error }),
            }
        }
    }

    /// Records a dead letter.
    ///
    /// One without a reason is not a worker's: the broker gave it up because it came back too
    /// often, perhaps only for having been sent ahead to a worker that another message kept
    /// killing. So it is tried once more, alone.
    pub(super) async fn record_dead_letter(&self, delivery: &Delivery) -> Result<(), Stop> {
        let mut message = delivery.message.clone();
        if message.headers().error.is_none() && delivery.came_back < TRIES_ALONE {
            let error = match self.try_alone(&message).await? {
                Ok(disposition) => match settlement(disposition, &message) {
                    Settlement::Ack => return Ok(()),
                    Settlement::Fail { error } | Settlement::Retry { error, .. } => error,
                },
                Err(error) => error,
            };
            message.headers_mut().error = Some(error);
        }
        self.record(&message).await
    }

    /// Records a dead letter. One that can never be recorded is logged as an error and let
    /// go, or it would block all behind it.
    async fn record(&self, message: &Message) -> Result<(), Stop> {
        let headers = message.headers();
        let mut outage = Outage::default();
        loop {
            match record::record(&self.store, message, self.clock.now()).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_passing() => {
                    self.wait_out_outage(&mut outage, &error).await?;
                }
                Err(error) => {
                    error!(event.id = headers.event_id, provider = %headers.provider,
                        app = %headers.app, error = chain(&error),
                        "a dead letter could not be recorded and is lost");
                    return Ok(());
                }
            }
        }
    }

    /// Rests before the next try, as long as the outage is short enough to be sat out.
    async fn wait_out_outage(
        &self,
        outage: &mut Outage,
        error: &(dyn Error + Sync),
    ) -> Result<(), Stop> {
        warn!(
            error = chain(error),
            "the store did not answer; trying again"
        );
        if outage.began.elapsed() > self.write_timeout {
            return Err(Stop::StoreAway);
        }
        if self.shut_down_within(outage.pause.next()).await {
            return Err(Stop::Shutdown);
        }
        Ok(())
    }
}

/// A time without answers from the store.
struct Outage {
    began: Instant,
    pause: Pause,
}

impl Default for Outage {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            pause: Pause::new(),
        }
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
                event.r#type = headers.event_type, error.code = error.code, detail = error.detail,
                "an event cannot be understood");
            Settlement::Fail { error }
        }
    }
}
