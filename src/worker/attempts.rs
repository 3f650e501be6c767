//! Tries one message or one batch, and decides how the queue settles it.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt;
use tracing::{debug, error, warn};

use super::Worker;
use super::part::EVENTS;
use super::retries::Backoff;
#[cfg(feature = "otel")]
use super::span::EventSpan;
use super::stop::Stop;
use crate::causes::chain;
use crate::domain::event::{EventError, EventOutcome};
use crate::domain::retry::delay_after;
use crate::pipeline::incoming::{Incoming, incoming, named_by};
use crate::pipeline::note;
use crate::pipeline::outcome_line::{millis_since, since_receipt};
use crate::pipeline::process::{self, Disposition, ProcessError};
use crate::pipeline::record;
use crate::provider::{Named, known_names};
use crate::queue::{Delivery, Message, Settlement};
use crate::store::Trouble;

/// How often a message that the broker dead-lettered is tried alone. One that kills the process
/// each time is recorded after that.
const TRIES_ALONE: u32 = 3;

/// A failed try to process a batch.
enum TryError {
    /// The store is away; no message is to blame.
    StoreAway(ProcessError),
    /// Some message makes the batch fail.
    Failed(EventError),
}

impl Worker {
    /// Processes a batch; if that fails, each of its messages alone.
    pub(super) async fn process_batch(
        &self,
        deliveries: &[Delivery],
        named: &[Named],
    ) -> Result<Vec<Settlement>, Stop> {
        let messages: Vec<&Message> = deliveries.iter().map(|it| &it.message).collect();
        let messages = incoming(&messages, named);
        match self.try_until_store_answers(&messages).await? {
            Ok(dispositions) => {
                let pairs = dispositions.into_iter().zip(&messages);
                Ok(pairs
                    .map(|(disposition, it)| self.settlement(disposition, it.message))
                    .collect())
            }
            Err(error) if messages.len() > 1 => {
                warn!(
                    messages = messages.len(),
                    error.code = error.code,
                    "batch failed; retrying its messages one by one"
                );
                let mut settlements = Vec::with_capacity(messages.len());
                for it in messages {
                    settlements.push(self.process_alone(it.message).await?);
                }
                Ok(settlements)
            }
            Err(error) => Ok(vec![self.failed_try(messages[0].message, error).await?]),
        }
    }

    async fn process_alone(&self, message: &Message) -> Result<Settlement, Stop> {
        match self.try_alone(message).await? {
            Ok(disposition) => Ok(self.settlement(disposition, message)),
            Err(error) => self.failed_try(message, error).await,
        }
    }

    async fn try_alone(&self, message: &Message) -> Result<Result<Disposition, EventError>, Stop> {
        let named = &named_by(message);
        let tried = self
            .try_until_store_answers(&[Incoming { message, named }])
            .await?;
        Ok(tried.and_then(|dispositions| {
            dispositions.into_iter().next().ok_or_else(|| EventError {
                code: "defect".to_owned(),
                detail: "processing the event had no outcome".to_owned(),
            })
        }))
    }

    async fn try_until_store_answers(
        &self,
        messages: &[Incoming<'_>],
    ) -> Result<Result<Vec<Disposition>, EventError>, Stop> {
        let mut wait = StoreWait::default();
        loop {
            match self.attempt(messages).await {
                Ok(dispositions) => {
                    self.outages.store_answered(EVENTS);
                    for (it, disposition) in messages.iter().zip(&dispositions) {
                        self.count_done(it.message, disposition);
                    }
                    return Ok(Ok(dispositions));
                }
                Err(TryError::Failed(error)) => return Ok(Err(error)),
                Err(TryError::StoreAway(error)) => {
                    let held = messages.len();
                    self.wait_out_outage(&mut wait, &error, held).await?;
                }
            }
        }
    }

    /// Counts a message whose batch was committed. One that cannot be processed is counted when its
    /// dead letter is recorded.
    fn count_done(&self, message: &Message, disposition: &Disposition) {
        let headers = message.headers();
        let names = known_names(headers.provider, &headers.event_type);
        if let Some(outcome) = disposition.word() {
            self.metrics.done(names, outcome);
        }
        if matches!(disposition, Disposition::Done(_)) && headers.replay.is_none() {
            let since = since_receipt(headers.received_at, self.clock.now());
            self.metrics.delayed(names.0, since);
        }
    }

    async fn attempt(&self, messages: &[Incoming<'_>]) -> Result<Vec<Disposition>, TryError> {
        #[cfg(feature = "otel")]
        let spans: Vec<EventSpan> = (messages.iter())
            .map(|it| EventSpan::begin(it.message))
            .collect();
        let processing = process::process_incoming(&self.store, messages, self.clock.now());
        // A panic in the domain is a bug of ours; it must cost one event, not the worker. The
        // interrupted transaction is dropped, which rolls it back.
        match AssertUnwindSafe(processing).catch_unwind().await {
            Ok(Ok(dispositions)) => {
                #[cfg(feature = "otel")]
                for (span, disposition) in spans.into_iter().zip(&dispositions) {
                    span.end(disposition.word().unwrap_or("failed"));
                }
                Ok(dispositions)
            }
            Ok(Err(error)) if error.has_stalled() => Err(TryError::Failed(EventError::new(
                Trouble::Stalled.code(),
                chain(&error),
            ))),
            Ok(Err(error)) if error.is_passing() => Err(TryError::StoreAway(error)),
            Ok(Err(error)) => Err(TryError::Failed(EventError::new(
                "store_refused",
                chain(&error),
            ))),
            Err(_panic) => Err(TryError::Failed(EventError {
                code: "defect".to_owned(),
                detail: "processing the event ended in a panic".to_owned(),
            })),
        }
    }

    /// Handles an event that failed in a way that may pass: it is retried after a delay, until its
    /// tries are used up.
    async fn failed_try(&self, message: &Message, error: EventError) -> Result<Settlement, Stop> {
        let headers = message.headers();
        let Some(delay) = delay_after(headers.attempt + 1) else {
            let lost = "event failed for the last time; moving it to the dead letters";
            self.failed_line(message, &error, lost);
            return Ok(Settlement::Fail { error });
        };
        warn!(
            app = %headers.app, provider = %headers.provider, event.id = %headers.event_id,
            event.r#type = %headers.event_type, outcome = EventOutcome::Pending.as_str(),
            request.id = headers.origin.request_id(),
            error.code = error.code, error = error.detail, attempt = headers.attempt + 1,
            next_try_s = delay.as_secs(), "event failed; it will be tried again"
        );
        let mut wait = StoreWait::default();
        loop {
            match note::note_pending(&self.store, message, &error, self.clock.now()).await {
                Err(away) if away.is_passing() => {
                    self.wait_out_outage(&mut wait, &away, 1).await?;
                }
                // The event is safe in the queue whether or not the note could be written.
                Ok(()) | Err(_) => return Ok(Settlement::Retry { delay, error }),
            }
        }
    }

    /// Records a dead letter.
    ///
    /// A dead letter without an error did not come from a worker: the broker put it here because it
    /// came back too often, perhaps only because it was prefetched by a worker that another message
    /// kept killing. So it is tried once more, alone.
    pub(super) async fn record_dead_letter(&self, delivery: &Delivery) -> Result<(), Stop> {
        let mut message = delivery.message.clone();
        let by_broker = message.headers().error.is_none();
        if message.headers().error.is_none() && delivery.delivery_count < TRIES_ALONE {
            let error = match self.try_alone(&message).await? {
                Ok(disposition) => match self.settlement(disposition, &message) {
                    Settlement::Ack => return Ok(()),
                    Settlement::Fail { error } | Settlement::Retry { error, .. } => error,
                },
                Err(error) => error,
            };
            message.headers_mut().error = Some(error);
        }
        if by_broker {
            // One that a worker gave up has its line already, and was counted.
            let headers = message.headers();
            self.metrics.queue_gave_up();
            error!(app = %headers.app, provider = %headers.provider,
                event.id = %headers.event_id, event.r#type = %headers.event_type,
                outcome = EventOutcome::Failed.as_str(),
                request.id = headers.origin.request_id(), delivery_count = delivery.delivery_count,
                "event recorded as failed: the queue gave its message up");
        }
        self.record(&message).await
    }

    /// Writes a dead letter into the ledger. One that can never be recorded is logged as an error
    /// and dropped, or it would block all behind it.
    async fn record(&self, message: &Message) -> Result<(), Stop> {
        let headers = message.headers();
        let mut wait = StoreWait::default();
        loop {
            match record::record(&self.store, message, self.clock.now()).await {
                Ok(()) => {
                    self.outages.store_answered(EVENTS);
                    let names = known_names(headers.provider, &headers.event_type);
                    self.metrics.done(names, EventOutcome::Failed.as_str());
                    return Ok(());
                }
                Err(error) if error.is_passing() => {
                    self.wait_out_outage(&mut wait, &error, 1).await?;
                }
                Err(error) => {
                    error!(app = %headers.app, provider = %headers.provider,
                        event.id = %headers.event_id, event.r#type = %headers.event_type,
                        request.id = headers.origin.request_id(), error = chain(&error),
                        "recording a dead letter failed for good; it is lost");
                    return Ok(());
                }
            }
        }
    }

    /// Waits before the next try, until the outage exceeds the limit.
    async fn wait_out_outage(
        &self,
        wait: &mut StoreWait,
        error: &(dyn Error + Sync),
        held: usize,
    ) -> Result<(), Stop> {
        let held = if wait.is_noted { 0 } else { held };
        wait.is_noted = true;
        self.outages.store_failed(EVENTS, error, held);
        if wait.began.elapsed() > self.outage_limit {
            return Err(Stop::StoreAway);
        }
        if self.shut_down_within(wait.backoff.next()).await {
            return Err(Stop::Shutdown);
        }
        Ok(())
    }

    /// Turns the disposition of an event into the settlement of its message. What was committed has
    /// its line already (`pipeline::outcome_line`).
    fn settlement(&self, disposition: Disposition, message: &Message) -> Settlement {
        let headers = message.headers();
        match disposition {
            Disposition::Done(_) | Disposition::Duplicate | Disposition::Redelivered => {
                Settlement::Ack
            }
            Disposition::Paused => {
                debug!(app = %headers.app, provider = %headers.provider,
                    event.id = %headers.event_id, event.r#type = %headers.event_type,
                    request.id = headers.origin.request_id(),
                    "the app of this event is paused; the event waits in the store");
                Settlement::Ack
            }
            Disposition::AppGone => {
                warn!(app = %headers.app, provider = %headers.provider,
                    event.id = %headers.event_id, event.r#type = %headers.event_type,
                    request.id = headers.origin.request_id(),
                    "the app of this event is gone; event dropped");
                Settlement::Ack
            }
            Disposition::Final(error) => {
                let lost = "event cannot be understood; moving it to the dead letters";
                self.failed_line(message, &error, lost);
                Settlement::Fail { error }
            }
        }
    }

    /// Writes the line of an event that is not tried again.
    fn failed_line(&self, message: &Message, error: &EventError, lost: &'static str) {
        let headers = message.headers();
        error!(
            app = %headers.app, provider = %headers.provider, event.id = %headers.event_id,
            event.r#type = %headers.event_type, outcome = EventOutcome::Failed.as_str(),
            request.id = headers.origin.request_id(), error.code = error.code, error = error.detail, attempt = headers.attempt + 1,
            duration_ms = millis_since(headers.received_at, self.clock.now()), "{lost}"
        );
    }
}

/// A period in which the store does not answer.
struct StoreWait {
    began: Instant,
    /// True once the messages that wait have been counted.
    is_noted: bool,
    backoff: Backoff,
}

impl Default for StoreWait {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            is_noted: false,
            backoff: Backoff::new(),
        }
    }
}
