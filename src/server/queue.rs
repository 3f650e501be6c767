//! Starts the queue that the settings name.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::StartError;
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::QueueMetrics;
use crate::pipeline::figures::Figures;
use crate::pipeline::health::Health;
use crate::pipeline::measured::Measured;
use crate::pipeline::spool::Spooling;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::rabbitmq::{IdlePeriods, RabbitQueue, RabbitSettings};
use crate::queue::{Lane, Publisher};
use crate::random;
use crate::store::Store;
use crate::worker::Worker;

/// Returns the settings of the broker, without the id of the store; `None` for the built-in queue.
pub fn rabbit_settings(config: &Config) -> Option<RabbitSettings> {
    Some(RabbitSettings {
        url: config.queue.amqp_url.clone()?,
        ca_file: config.queue.amqp_ca_file.clone(),
        prefix: config.queue.amqp_prefix.clone(),
        installation: None,
    })
}

/// Returns the id of the store, which the first server with a broker makes.
///
/// # Errors
/// When the store failed, or no id can be made.
pub async fn installation_id(store: &Store, clock: &dyn Clock) -> Result<String, StartError> {
    if let Some(id) = store.read().await?.installation_id().await? {
        return Ok(id);
    }
    let new = random::uuid(clock.now())?.to_string();
    let mut tx = store.begin().await?;
    // Another process may be faster; then its id counts.
    tx.installation_id_ensure(&new).await?;
    let id = tx.installation_id().await?;
    tx.commit().await?;
    Ok(id.unwrap_or(new))
}

/// A queue that was started.
pub(super) struct Started {
    /// Where webhooks and replays go.
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) health: Health,
    pub(super) figures: Figures,
}

/// Starts the queue of the settings, and the worker on it if there is one.
///
/// # Errors
/// When the broker cannot be used with these settings, the store failed, or no id can be made.
pub(super) async fn start_queue(
    config: &Config,
    (store, clock, metrics): (&Store, &Arc<dyn Clock>, &QueueMetrics),
    worker: Option<Worker>,
    (shutdown, tasks): (&CancellationToken, &TaskTracker),
) -> Result<Started, StartError> {
    let mut health = Health::new(store.clone(), Arc::clone(clock));
    let mut figures = Figures::new(store.clone(), Arc::clone(clock));
    if let Some(worker) = &worker {
        figures = figures.working(worker.progress());
    }
    let measured = |publisher| Arc::new(Measured::new(publisher, metrics.clone()));
    let Some(settings) = rabbit_settings(config) else {
        let queue = EmbeddedQueue::new(store.clone(), Arc::clone(clock));
        let publisher = health.confirming(measured(Arc::new(queue.clone())));
        if let Some(worker) = worker {
            health = health.working(worker.progress(), Vec::new());
            let (work, failed) = (queue.consumer(Lane::Work), queue.consumer(Lane::Failed));
            let worker = worker.replaying_to(Arc::clone(&publisher));
            tasks.spawn(worker.run(work, failed, None));
        }
        return Ok(Started {
            publisher,
            health,
            figures,
        });
    };
    let settings = settings.of_installation(installation_id(store, &**clock).await?);
    let queue = match &worker {
        Some(_) => RabbitQueue::start(&settings).await?,
        None => RabbitQueue::start_publishing(&settings).await?,
    };
    let (work, failed) = (queue.consumer(Lane::Work), queue.consumer(Lane::Failed));
    if worker.is_some() {
        tasks.spawn(
            queue
                .clone()
                .empty_older_queues(IdlePeriods::default(), shutdown.clone()),
        );
    }
    let watch = queue.watch();
    let announcer = Arc::new(queue.clone());
    let queue = health.confirming(measured(Arc::new(queue)));
    health = health.publishing(Arc::clone(&queue), true);
    figures = figures.of_broker(Arc::clone(&queue), watch);
    if let Some(worker) = worker {
        let consumers = vec![work.health(), failed.health()];
        health = health.working(worker.progress(), consumers);
        let holder = random::uuid(clock.now()).unwrap_or_default().to_string();
        let worker = worker
            .replaying_to(Arc::clone(&queue))
            .announcing_to(announcer, holder);
        tasks.spawn(worker.run(work, failed, Some(Arc::clone(&queue))));
    }
    let spooling = Spooling::new(queue, store.clone()).counted(metrics.clone());
    Ok(Started {
        publisher: Arc::new(spooling),
        health,
        figures,
    })
}
