//! The worker's loops. The main one takes a batch of events, processes it and settles it.
//!
//! The work itself is in [`pipeline`](crate::pipeline), which knows no loop; `attempts.rs` is the
//! single place that turns the result of a message into an acknowledgement, a retry or a dead
//! letter. Several loops run side by side: events, dead letters, due times with new policies and
//! erasures, bulk replays, what waited for paused apps, comparisons with providers, questions to
//! them, accounting for what was acknowledged, upkeep, deliveries to hooks, and, where there is a broker,
//! the relay of the spool and the publishing of changes;
//! `part.rs` has their names. All end when the shutdown token is cancelled: what is in hand is
//! finished, or given back unsettled.
//!
//! While the store is away nothing can be processed, and no message is to blame. Messages in hand
//! are kept for a moment, since most outages are short; then they are given back, once, and nothing
//! is taken until the store answers: a broker counts how often a message comes back, and closes the
//! channel of a consumer that leaves one unsettled for half an hour.

mod acknowledged;
mod attempts;
mod changes;
mod events;
mod failure;
mod hooks;
mod loops;
mod outages;
mod part;
mod pauses;
mod reconciles;
mod refetches;
mod replays;
mod retries;
mod shards;
#[cfg(feature = "otel")]
mod span;
mod stop;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::causes::chain;
use crate::clock::Clock;
use crate::domain::span::Span;
use crate::metrics::{Metrics, WorkerMetrics};
use crate::pipeline::apis::Apis;
use crate::pipeline::health::Progress;
use crate::pipeline::hooks::Deliveries;
use crate::pipeline::{app_deletion, erasure, policy, relay, timers};
use crate::queue::{Announcer, Consumer, Delivery, Lane, Publisher, Settlement};
use crate::store::{Store, StoreError};
use failure::failures_in;
use loops::Loops;
use outages::Outages;
use part::{RELAY, TIMERS, part_of};
use retries::Backoff;
use stop::Stop;

/// Most messages of one transaction. That spreads the cost of the statements thinly enough, and the
/// batches of several workers still run side by side (`pipeline::process`).
const BATCH: usize = 128;

/// The time between looks for due times, which must be exact to the minute.
const TIMER_INTERVAL: Duration = Duration::from_secs(10);

/// The time between tries to publish the spooled messages.
const RELAY_INTERVAL: Duration = Duration::from_secs(1);

/// The time for which messages stay in hand while the store is away: longer than a failover takes.
const OUTAGE_LIMIT: Duration = Duration::from_secs(10);

/// The worker: what its loops share.
#[derive(Clone)]
pub struct Worker {
    store: Store,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
    outage_limit: Duration,
    batches: usize,
    replay_to: Option<Arc<dyn Publisher>>,
    apis: Option<Apis>,
    payload_retention: Option<Span>,
    change_retention: Span,
    silent_after: Option<Span>,
    announce_to: Option<(Arc<dyn Announcer>, String)>,
    deliveries: Option<Deliveries>,
    outages: Arc<Outages>,
    progress: Progress,
    metrics: WorkerMetrics,
}

impl Worker {
    /// Creates a worker that ends when `shutdown` is cancelled.
    pub fn new(store: Store, clock: Arc<dyn Clock>, shutdown: CancellationToken) -> Self {
        Self {
            store,
            clock,
            shutdown,
            outage_limit: OUTAGE_LIMIT,
            batches: 1,
            replay_to: None,
            apis: None,
            payload_retention: None,
            change_retention: Span::days(30),
            silent_after: None,
            announce_to: None,
            deliveries: None,
            outages: Arc::default(),
            progress: Progress::default(),
            metrics: Metrics::default().worker,
        }
    }

    /// Counts what it does here.
    #[must_use]
    pub fn counted(mut self, metrics: WorkerMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Returns what its loops have in hand, for those who watch it.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Sets how long messages stay in hand while the store is away. Default: ten seconds.
    #[must_use]
    pub fn with_outage_limit(mut self, outage_limit: Duration) -> Self {
        self.outage_limit = outage_limit;
        self
    }

    /// Sets how many batches of events it processes at once. Default: one, which suits a store with one
    /// writer.
    #[must_use]
    pub fn with_batches(mut self, batches: usize) -> Self {
        self.batches = batches;
        self
    }

    /// Carries out bulk replays by publishing to `publisher`.
    #[must_use]
    pub fn replaying_to(mut self, publisher: Arc<dyn Publisher>) -> Self {
        self.replay_to = Some(publisher);
        self
    }

    /// Asks these about what events leave open, and compares what is kept with what they say.
    #[must_use]
    pub fn asking(mut self, apis: Apis) -> Self {
        self.apis = Some(apis);
        self
    }

    /// Publishes changes. `holder` names this worker among others.
    #[must_use]
    pub fn announcing_to(mut self, announcer: Arc<dyn Announcer>, holder: String) -> Self {
        self.announce_to = Some((announcer, holder));
        self
    }

    /// Delivers changes to hooks.
    #[must_use]
    pub fn delivering(mut self, deliveries: Deliveries) -> Self {
        self.deliveries = Some(deliveries);
        self
    }

    /// Runs the loops until shutdown. `relay_to` is where spooled messages go, for a queue
    /// outside the store; the built-in one needs no spool.
    pub async fn run(
        self,
        work: impl Consumer,
        failed: impl Consumer,
        relay_to: Option<Arc<dyn Publisher>>,
    ) {
        let mut loops = Loops::new(self.shutdown.clone());
        loops.start(self.clone().run_events(work));
        loops.start(self.clone().run_dead_letters(failed));
        self.start_changes(&mut loops);
        loops.start_apart(self.clone().run_timers());
        if let Some(publisher) = self.replay_to.clone() {
            loops.start_apart(self.clone().run_replays(Arc::clone(&publisher)));
            loops.start_apart(self.clone().run_pauses(publisher));
        }
        if let Some(publisher) = relay_to {
            loops.start_apart(self.clone().run_relay(publisher));
        }
        if let Some(apis) = self.apis.clone() {
            loops.start_apart(self.clone().run_reconciles(apis.clone()));
            loops.start_apart(self.clone().run_refetches(apis));
        }
        loops.start_apart(self.clone().run_acknowledged());
        loops.start_apart(self.clone().run_upkeep());
        while let Some(ended) = loops.ended().await {
            if let Err(error) = ended {
                error!(%error, "a worker loop panicked; restart the process");
                self.progress.stopped();
            }
        }
    }

    async fn run_dead_letters(self, mut consumer: impl Consumer) {
        let lane = Lane::Failed;
        while let Some(deliveries) = self.next_batch(&mut consumer, lane).await {
            let mut stopped = None;
            for delivery in &deliveries {
                if let Err(stop) = self.record_dead_letter(delivery).await {
                    stopped = Some(stop);
                    break;
                }
            }
            match stopped {
                None => {
                    let settled = deliveries.into_iter().map(|it| (it, Settlement::Ack));
                    self.settle(&mut consumer, (lane, 0), settled.collect())
                        .await;
                }
                // The ones already recorded come again too, which is harmless.
                Some(stop) => {
                    if !self.give_back(&mut consumer, lane, deliveries, stop).await {
                        return;
                    }
                }
            }
        }
    }

    async fn run_relay(self, publisher: Arc<dyn Publisher>) {
        // One line for a whole spool, however many rounds it takes.
        let mut relayed_in_all = 0;
        loop {
            let more = match relay::relay(&self.store, &*publisher, self.clock.now()).await {
                Ok(relayed) => {
                    self.outages.store_answered(RELAY);
                    relayed_in_all += relayed.count;
                    relayed.more
                }
                Err(error) => {
                    self.store_failed(RELAY, &error, "relaying the spool failed; trying again");
                    false
                }
            };
            if !more && relayed_in_all > 0 {
                info!(messages = relayed_in_all, "spooled messages published");
                relayed_in_all = 0;
            }
            let delay = if more { Duration::ZERO } else { RELAY_INTERVAL };
            if self.shut_down_within(delay).await {
                return;
            }
        }
    }

    async fn run_timers(self) {
        let mut backoff = Backoff::new();
        loop {
            let delay = match self.act_on_time().await {
                Ok(more) => {
                    self.outages.store_answered(TIMERS);
                    backoff = Backoff::new();
                    if more { Duration::ZERO } else { TIMER_INTERVAL }
                }
                Err(error) => {
                    self.store_failed(TIMERS, &error, "acting on due times failed; trying again");
                    backoff.next()
                }
            };
            if self.shut_down_within(delay).await {
                return;
            }
        }
    }

    /// Acts on due times, then rederives some customers of each app with a new policy and makes a step
    /// of an erasure and one of the deletion of an app. Returns true if more of any remains. Due times
    /// come between any two such steps, because an app may have many customers.
    async fn act_on_time(&self) -> Result<bool, StoreError> {
        let customers = timers::run_due(&self.store, self.clock.now()).await?;
        self.metrics.timers_fired(customers);
        if customers > 0 {
            info!(customers, "due times acted on");
        }
        let more = policy::walk_on(&self.store, self.clock.now()).await?;
        let erased = erasure::carry_on(&self.store, self.clock.now()).await?;
        let deletes = app_deletion::carry_on(&self.store).await?;
        Ok(more || deletes || erased == erasure::Progress::More)
    }

    /// Returns the next batch, or `None` at shutdown. A queue that does not answer is asked again.
    async fn next_batch(&self, consumer: &mut impl Consumer, lane: Lane) -> Option<Vec<Delivery>> {
        let mut backoff = Backoff::new();
        loop {
            let next = tokio::select! {
                () = self.shutdown.cancelled() => {
                    consumer.finish().await;
                    return None;
                }
                next = consumer.next_batch(BATCH) => next,
            };
            match next {
                Ok(deliveries) => {
                    self.outages.queue_answered(part_of(lane));
                    self.progress.took(lane, 0, &deliveries);
                    return Some(deliveries);
                }
                Err(error) => {
                    self.outages.queue_failed(part_of(lane), &error);
                    if self.shut_down_within(backoff.next()).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Settles a batch, and lets its slot go. Returns false if the queue did not take it.
    async fn settle(
        &self,
        consumer: &mut impl Consumer,
        (lane, slot): (Lane, usize),
        settled: Vec<(Delivery, Settlement)>,
    ) -> bool {
        let failures = failures_in(&settled);
        match consumer.settle(settled).await {
            Ok(()) => {
                self.progress.settled(lane, slot);
                for failure in failures {
                    failure.count(&self.metrics);
                }
                true
            }
            Err(error) => {
                self.progress.let_go(lane, slot);
                warn!(
                    error = chain(&error),
                    "settling a batch failed; its messages will come again"
                );
                false
            }
        }
    }

    /// Gives a batch back and waits until the store answers again. Returns false at shutdown.
    async fn give_back(
        &self,
        consumer: &mut impl Consumer,
        lane: Lane,
        deliveries: Vec<Delivery>,
        stop: Stop,
    ) -> bool {
        match stop {
            // The consumer is dropped, and its unsettled messages with it.
            Stop::Shutdown => false,
            Stop::StoreAway => {
                info!(
                    messages = deliveries.len(),
                    "gave messages back to the queue; none are taken until the store answers"
                );
                consumer.give_back(deliveries).await;
                self.progress.let_go(lane, 0);
                let mut backoff = Backoff::new();
                while self.store.begin().await.is_err() {
                    if self.shut_down_within(backoff.next()).await {
                        return false;
                    }
                }
                true
            }
        }
    }

    /// Notes that a loop's work failed. Permanent errors are logged every time.
    fn store_failed(&self, part: &'static str, error: &StoreError, failed: &'static str) {
        if error.is_passing() {
            self.outages.store_failed(part, error, 0);
        } else {
            warn!(part, error = chain(error), "{failed}");
        }
    }

    async fn shut_down_within(&self, delay: Duration) -> bool {
        tokio::time::timeout(delay, self.shutdown.cancelled())
            .await
            .is_ok()
    }
}
