//! The loop of the events: takes messages, has them processed, one batch after the other or several
//! at once, and settles them.

use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use super::Worker;
use super::part::EVENTS;
use super::retries::Backoff;
use super::shards::{Batch, Shards};
use super::stop::Stop;
use crate::pipeline::incoming::named_by;
use crate::provider::Named;
use crate::queue::{Consumer, Delivery, Lane, Settlement};

const LANE: Lane = Lane::Work;

/// A batch that was processed, or given up.
struct Done {
    batch: Batch,
    result: Result<Vec<Settlement>, Stop>,
    time: Duration,
}

impl Worker {
    pub(super) async fn run_events(self, consumer: impl Consumer) {
        if self.batches > 1 {
            self.run_shards(consumer).await;
        } else {
            self.run_one_by_one(consumer).await;
        }
    }

    async fn run_one_by_one(self, mut consumer: impl Consumer) {
        while let Some(deliveries) = self.next_batch(&mut consumer, LANE).await {
            let (began, messages) = (Instant::now(), deliveries.len());
            let named: Vec<Named> = deliveries.iter().map(|it| named_by(&it.message)).collect();
            match self.process_batch(&deliveries, &named).await {
                Ok(settlements) => {
                    let settled = deliveries.into_iter().zip(settlements).collect();
                    self.settle(&mut consumer, (LANE, 0), settled).await;
                    self.metrics.batch(messages, began.elapsed());
                }
                Err(stop) => {
                    if !self.give_back(&mut consumer, LANE, deliveries, stop).await {
                        return;
                    }
                }
            }
        }
    }

    /// Processes batches of several shards at once. Each is settled as soon as it is committed,
    /// whatever becomes of the others.
    async fn run_shards(self, mut consumer: impl Consumer) {
        let mut shards = Shards::new(self.batches);
        let mut running = JoinSet::new();
        let (mut backoff, mut ask_at) = (Backoff::new(), tokio::time::Instant::now());
        loop {
            self.begin_batches(&mut shards, &mut running);
            let room = shards.room();
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                Some(done) = running.join_next() => {
                    let Some(done) = ended(&mut shards, done) else {
                        return;
                    };
                    self.begin_batches(&mut shards, &mut running);
                    if let Some(undone) = self.settle_done(&mut consumer, &mut shards, done).await
                        && !self.wait_for_store(&mut consumer, &mut shards, &mut running, undone).await
                    {
                        return;
                    }
                }
                next = async {
                    tokio::time::sleep_until(ask_at).await;
                    consumer.next_batch(room.min(self.batches * super::BATCH)).await
                }, if room > 0 => match next {
                    Ok(deliveries) => {
                        self.outages.queue_answered(EVENTS);
                        backoff = Backoff::new();
                        shards.put(deliveries);
                    }
                    Err(error) => {
                        self.outages.queue_failed(EVENTS, &error);
                        // What was not settled on that way comes again.
                        drop(shards.take_waiting());
                        ask_at = tokio::time::Instant::now() + backoff.next();
                    }
                },
            }
        }
        // What is under way is finished; what waits goes back with the consumer.
        while let Some(done) = running.join_next().await {
            if let Some(done) = ended(&mut shards, done) {
                self.settle_done(&mut consumer, &mut shards, done).await;
            }
        }
        consumer.finish().await;
    }

    /// Begins all batches that can run beside those that are under way.
    fn begin_batches(&self, shards: &mut Shards, running: &mut JoinSet<Done>) {
        while let Some(batch) = shards.next() {
            self.progress.took(LANE, batch.slot(), &batch.deliveries);
            let worker = self.clone();
            running.spawn(async move {
                let began = Instant::now();
                let result = worker.process_batch(&batch.deliveries, &batch.named).await;
                Done {
                    batch,
                    result,
                    time: began.elapsed(),
                }
            });
        }
    }

    /// Settles a batch that was processed; returns the messages of one that was not.
    async fn settle_done(
        &self,
        consumer: &mut impl Consumer,
        shards: &mut Shards,
        done: Done,
    ) -> Option<Vec<Delivery>> {
        let Done {
            batch,
            result,
            time,
        } = done;
        let (slot, messages) = (batch.slot(), batch.deliveries.len());
        match result {
            Ok(settlements) => {
                let settled = batch.deliveries.into_iter().zip(settlements).collect();
                if !self.settle(consumer, (LANE, slot), settled).await {
                    // The others came on the same way, which is lost.
                    drop(shards.take_waiting());
                }
                self.metrics.batch(messages, time);
                None
            }
            Err(Stop::Shutdown | Stop::StoreAway) => {
                self.progress.let_go(LANE, slot);
                Some(batch.deliveries)
            }
        }
    }

    /// Gives everything back that was not processed, once no batch is under way, and waits until the
    /// store answers again. Returns false at shutdown.
    async fn wait_for_store(
        &self,
        consumer: &mut impl Consumer,
        shards: &mut Shards,
        running: &mut JoinSet<Done>,
        mut undone: Vec<Delivery>,
    ) -> bool {
        while let Some(done) = running.join_next().await {
            let Some(done) = ended(shards, done) else {
                return false;
            };
            let more = self.settle_done(consumer, shards, done).await;
            undone.extend(more.into_iter().flatten());
        }
        undone.extend(shards.take_waiting());
        if self.shutdown.is_cancelled() {
            return false;
        }
        self.give_back(consumer, LANE, undone, Stop::StoreAway)
            .await
    }
}

/// Takes note of the end of a batch. `None` only when the runtime ends: processing catches panics, so
/// one that comes here is of the loop itself, which ends by it.
fn ended(shards: &mut Shards, done: Result<Done, JoinError>) -> Option<Done> {
    match done.map_err(JoinError::try_into_panic) {
        Ok(done) => {
            shards.finished(&done.batch);
            Some(done)
        }
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_cancelled)) => None,
    }
}
