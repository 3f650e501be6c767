//! The figures that are read when a monitoring system asks: what waits, and what is away.
//!
//! Each part is asked in a task of its own, within a time that a scrape can wait. What does not
//! answer is left out, except for the words `up` and `0` in its place: a scrape is answered while the
//! store or the broker is away, and a depth that nobody can see is not shown as if it were 0.

mod asked;
mod names;

use std::sync::Arc;
use std::time::Duration;

use super::health::{Health, Progress};
use super::waiting::waiting_since;
use super::{acknowledged, spool};
use crate::clock::Clock;
use crate::domain::id::Provider;
use crate::domain::time::Timestamp;
use crate::metrics::Reading;
use crate::provider;
use crate::queue::rabbitmq::QueueWatch;
use crate::queue::{Depths, Lane, Publisher};
use crate::store::change::ChangeBacklog;
use crate::store::reconcile::Reconcile;
use crate::store::{
    AcknowledgedWaiting, DueTimers, LaneBacklog, PausedApp, PoolUse, Store, StoreError,
};
use asked::Asked;

/// How long an answer of the store counts: several monitoring systems may ask at the same time.
const STORE_FRESH: Duration = Duration::from_secs(1);

/// How long an answer of the broker counts. Each question is a connection, which the broker writes
/// into its log.
const BROKER_FRESH: Duration = Duration::from_secs(10);

/// Reads the figures of a process.
pub struct Figures {
    store: Store,
    clock: Arc<dyn Clock>,
    broker: Option<Broker>,
    progress: Option<Progress>,
    in_store: Asked<InStore>,
    at_broker: Asked<Depths>,
}

/// The broker of a process.
struct Broker {
    publisher: Arc<dyn Publisher>,
    watch: Arc<QueueWatch>,
}

/// What the store has.
#[derive(Clone, Debug, Default)]
struct InStore {
    /// The lanes `work` and `failed` of the built-in queue; empty where a broker has them.
    work: LaneBacklog,
    failed: LaneBacklog,
    oldest: Option<Timestamp>,
    spooled: LaneBacklog,
    oldest_spooled: Option<Timestamp>,
    timers: DueTimers,
    open_replays: u64,
    refetches: Vec<(Provider, u64)>,
    silent: Vec<(Provider, u64)>,
    acknowledged: AcknowledgedWaiting,
    reconciles: Vec<Reconcile>,
    paused: Vec<PausedApp>,
    changes: ChangeBacklog,
    deliveries: ChangeBacklog,
    lost_hooks: u64,
}

impl Figures {
    /// Reads the figures of a process whose queue is in the store.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            broker: None,
            progress: None,
            in_store: Asked::new(STORE_FRESH),
            at_broker: Asked::new(BROKER_FRESH),
        }
    }

    /// Reads those of a broker too.
    #[must_use]
    pub fn of_broker(mut self, publisher: Arc<dyn Publisher>, watch: Arc<QueueWatch>) -> Self {
        self.broker = Some(Broker { publisher, watch });
        self
    }

    /// Reads what a worker has in hand too.
    #[must_use]
    pub fn working(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Reads them all. Takes less than a second, whatever is away.
    pub async fn read(&self, health: &Health) -> Vec<Reading> {
        let (is_up, in_store, links, depths) = tokio::join!(
            health.check_store(),
            self.in_store.answer(|| self.ask_store()),
            self.links(health),
            self.depths(),
        );
        let now = self.clock.now();
        let mut read = vec![names::STORE_UP.counts(is_up.is_ok().into())];
        read.extend(links);
        if let Some(in_store) = &in_store {
            read.extend(in_store.readings(now));
            read.extend(in_store.of_reconciles(now));
        }
        read.extend(self.queue(in_store.as_ref(), depths));
        read.extend(self.oldest(in_store.as_ref(), now));
        read.extend(self.of_connections());
        read
    }

    fn ask_store(&self) -> impl Future<Output = Option<InStore>> + Send + 'static {
        let (store, now) = (self.store.clone(), self.clock.now());
        let with_queue = self.broker.is_none();
        async move { InStore::read(&store, with_queue, now).await.ok() }
    }

    /// Returns whether messages can be published, and whether they arrive.
    async fn links(&self, health: &Health) -> Vec<Reading> {
        if self.broker.is_none() {
            return Vec::new();
        }
        let up = |side, is_up: bool| names::BROKER_UP.counts(is_up.into()).of("side", side);
        let (publishing, consuming) =
            tokio::join!(health.check_publisher(), health.check_consumers());
        let mut links = vec![up("publishing", publishing.is_ok())];
        if self.progress.is_some() {
            links.push(up("consuming", consuming.is_ok()));
        }
        links
    }

    async fn depths(&self) -> Option<Depths> {
        let publisher = Arc::clone(&self.broker.as_ref()?.publisher);
        self.at_broker
            .answer(|| async move { publisher.depths().await.ok() })
            .await
    }

    /// Returns the depth of the queue, wherever it is.
    fn queue(&self, in_store: Option<&InStore>, depths: Option<Depths>) -> Vec<Reading> {
        let lanes = match (&self.broker, in_store, depths) {
            (Some(_), _, Some(depths)) => {
                let retry = depths.retry.iter().map(|(_, messages)| messages).sum();
                [depths.work, retry, depths.failed]
            }
            (None, Some(it), _) => [it.work.due, it.work.resting, it.failed.due],
            (Some(_), _, None) | (None, None, _) => return Vec::new(),
        };
        let lanes = ["work", "retry", "failed"].into_iter().zip(lanes);
        let depth = |(lane, messages)| names::QUEUE.counts(messages).of("lane", lane);
        lanes.map(depth).collect()
    }

    /// Returns the age of the oldest message that can be processed. What lies at a broker is seen
    /// when a worker has it in hand, which is always the oldest.
    fn oldest(&self, in_store: Option<&InStore>, now: Timestamp) -> Option<Reading> {
        let in_hand = self.progress.as_ref().map(|it| it.oldest(now));
        let waiting = match (&self.broker, in_store) {
            (None, Some(it)) => Some(it.oldest),
            (None, None) | (Some(_), _) => None,
        };
        if self.broker.is_none() && waiting.is_none() {
            // What waits cannot be seen.
            return None;
        }
        let known = in_hand.into_iter().chain(waiting).reduce(|one, other| {
            let both = one.into_iter().chain(other);
            both.min()
        })?;
        Some(names::QUEUE_AGE.is(seconds_since(known, now)))
    }

    /// Returns what this process does with its connections.
    fn of_connections(&self) -> Vec<Reading> {
        let mut read = Vec::new();
        let pools = self.store.pools();
        for pool in &pools {
            for (state, count) in [("in_use", pool.in_use), ("idle", pool.idle)] {
                let count = names::CONNECTIONS.counts(count.into());
                read.push(count.of("pool", pool.name).of("state", state));
            }
        }
        let most = |pool: &PoolUse| names::MOST_CONNECTIONS.counts(pool.most.into());
        read.extend(pools.iter().map(|pool| most(pool).of("pool", pool.name)));
        let opened = pools
            .iter()
            .filter_map(|pool| Some((pool.name, pool.opened?)));
        read.extend(opened.map(|(name, opened)| names::OPENED.counts(opened).of("pool", name)));
        read.push(names::STATEMENTS.counts(self.store.statements()));
        if let Some(Broker { watch, .. }) = &self.broker {
            let remade = watch.remade().into_iter();
            read.extend(remade.map(|(link, count)| names::REMADE.counts(count).of("link", link)));
            read.push(names::STANDSTILLS.counts(watch.standstills()));
            read.push(names::LOSSES.counts(watch.losses()));
        }
        read
    }
}

impl InStore {
    async fn read(store: &Store, with_queue: bool, now: Timestamp) -> Result<Self, StoreError> {
        let mut tx = store.read().await?;
        let mut read = Self {
            spooled: tx.backlog_of_lane(spool::LANE, now).await?,
            oldest_spooled: spool::oldest(&mut tx).await?,
            timers: tx.backlog_of_timers(now).await?,
            open_replays: tx.backlog_of_replays().await?,
            refetches: tx.refetch_count().await?,
            silent: tx.receipt_count_silent(now).await?,
            acknowledged: acknowledged::waiting(&mut tx, None, now).await?,
            reconciles: tx.reconcile_latest(None).await?,
            paused: tx.pause_list(None).await?,
            changes: tx.change_backlog().await?,
            deliveries: tx.delivery_backlog().await?,
            lost_hooks: tx.hook_count_lost().await?,
            ..Self::default()
        };
        if with_queue {
            let [work, failed] = [Lane::Work, Lane::Failed].map(Lane::name);
            read.work = tx.backlog_of_lane(work, now).await?;
            read.failed = tx.backlog_of_lane(failed, now).await?;
            read.oldest = waiting_since(&mut tx, now).await?;
        }
        Ok(read)
    }

    fn readings(&self, now: Timestamp) -> Vec<Reading> {
        let waiting = self.acknowledged;
        let unaccounted = waiting.under_10_minutes + waiting.under_2_hours + waiting.older;
        let spooled = self.spooled.due + self.spooled.resting;
        let mut read = vec![
            names::SPOOL.counts(spooled),
            names::SPOOL_AGE.is(seconds_since(self.oldest_spooled, now)),
            names::TIMERS_DUE.counts(self.timers.due),
            names::TIMERS_LATE.is(seconds_since(self.timers.first, now)),
            names::REPLAYS.counts(self.open_replays),
            names::PAUSED.counts(u64::try_from(self.paused.len()).unwrap_or(u64::MAX)),
            names::PAUSED_MESSAGES.counts(self.paused.iter().map(|it| it.waiting).sum()),
            names::CHANGES.counts(self.changes.waiting),
            names::CHANGES_AGE.is(seconds_since(self.changes.oldest, now)),
            names::DELIVERIES.counts(self.deliveries.waiting),
            names::DELIVERIES_AGE.is(seconds_since(self.deliveries.oldest, now)),
            names::HOOKS_LOST.counts(self.lost_hooks),
            names::UNACCOUNTED.counts(unaccounted),
            names::UNACCOUNTED_AGE.is(seconds_since(waiting.oldest, now)),
        ];
        // All of one figure together, as the format wants it.
        for (figure, counts) in [
            (names::REFETCHES, &self.refetches),
            (names::SILENT, &self.silent),
        ] {
            for provider in provider::names() {
                let mut counted = counts.iter().filter(|(it, _)| *it == provider);
                let count = counted.next().map_or(0, |(_, count)| *count);
                let name = provider::known_names(provider, "").0;
                read.push(figure.counts(count).of("provider", name));
            }
        }
        read
    }
}

impl InStore {
    /// Returns what the last comparisons with the providers found, and how old they are.
    fn of_reconciles(&self, now: Timestamp) -> Vec<Reading> {
        let (mut drifts, mut ages) = (Vec::new(), Vec::new());
        for spec in provider::ALL {
            let of_provider = self.reconciles.iter().filter(|it| it.provider == spec.name);
            let oldest = of_provider.clone().filter_map(|it| it.finished_at).min();
            if oldest.is_none() {
                continue;
            }
            let drifted = of_provider.filter(|it| !it.is_first_import());
            let drift = drifted.map(|it| it.found.drift()).sum();
            drifts.push(
                names::DRIFT
                    .counts(drift)
                    .of("provider", spec.name.as_str()),
            );
            let age = names::RECONCILED.is(seconds_since(oldest, now));
            ages.push(age.of("provider", spec.name.as_str()));
        }
        drifts.into_iter().chain(ages).collect()
    }
}

/// Returns the seconds since an instant; 0 if there is none, or if it is yet to come.
fn seconds_since(instant: Option<Timestamp>, now: Timestamp) -> f64 {
    let since = |instant: Timestamp| now.nanos().saturating_sub(instant.nanos());
    let nanos = instant.map_or(0, since);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default()).as_secs_f64()
}
