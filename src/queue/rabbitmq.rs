//! RabbitMQ: for several machines, and for backlogs too large for one process.
//!
//! [`RabbitQueue`] publishes; it and every [`RabbitConsumer`] have a connection of their own,
//! because a broker under a memory alarm stops reading from connections that publish, and
//! acknowledgements sent over such a connection would be stuck too. All of them reconnect by
//! themselves for as long as the process lives.
//!
//! Refused: the client library's own recovery. It replays publishes and consumers behind our back,
//! but two things must never be guessed here: whether an unconfirmed publish was lost, and to which
//! connection a delivery tag belongs.

mod codec;
mod connection;
mod consumer;
mod consumer_health;
mod depths;
mod drain;
mod error;
mod installation;
mod outgoing;
mod pending_publish;
mod publisher;
mod refusal;
mod session;
mod settings;
mod tags;
mod transport;
mod watch;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use connection::{Broker, Link, try_link};
pub use consumer::RabbitConsumer;
use drain::Drain;
pub use drain::IdlePeriods;
pub use error::BrokerError;
pub use installation::Claimed;
use outgoing::Outgoing;
use publisher::PublishHandle;
pub use settings::RabbitSettings;
pub use watch::QueueWatch;

use super::{Announcer, Depths, Lane, Message, Notice, Publisher, QueueError};

/// Checks a PEM file with certificate authorities.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn check_authorities(path: &Path) -> std::io::Result<()> {
    transport::connector(Some(path)).map(drop)
}

/// The queue on a broker. Cheap to clone.
#[derive(Clone)]
pub struct RabbitQueue {
    broker: Arc<Broker>,
    publishing: PublishHandle,
}

impl RabbitQueue {
    /// Connects and declares what is needed. A broker that is away is no error: publishing fails
    /// until it is there, and connecting is tried for as long as the queue lives.
    ///
    /// # Errors
    /// When the settings are wrong: the address or the file cannot be read, the broker refuses
    /// user or host, or has an exchange or a queue that does not fit.
    pub async fn start(settings: &RabbitSettings) -> Result<Self, BrokerError> {
        Self::start_at(Broker::new(settings)?).await
    }

    /// The same for a process that neither consumes nor passes on what others sent: it gets by with
    /// less memory.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn start_publishing(settings: &RabbitSettings) -> Result<Self, BrokerError> {
        Self::start_at(Broker::new(settings)?.for_own_messages()).await
    }

    async fn start_at(broker: Broker) -> Result<Self, BrokerError> {
        let broker = Arc::new(broker);
        let first = match Link::open(&broker).await {
            Err(error) if error.is_permanent() => return Err(error),
            Err(error) => match broker.explain(error).await {
                error if error.is_permanent() => return Err(error),
                error => Err(error),
            },
            first => first,
        };
        let publishing = PublishHandle::open(Arc::clone(&broker), first);
        Ok(Self { broker, publishing })
    }

    /// Connects and declares, for `check-config`.
    ///
    /// # Errors
    /// As for [`start`](Self::start), when the broker is away, and when the work queue was deleted:
    /// that is left for a server to report.
    pub async fn check(settings: &RabbitSettings) -> Result<(), BrokerError> {
        let broker = Broker::new(settings)?;
        match try_link(&broker).await {
            Ok(()) => Ok(()),
            Err(error) => Err(broker.explain(error).await),
        }
    }

    /// Takes the queues over from another installation.
    ///
    /// # Errors
    /// As for [`start`](Self::start), when the broker is away, and when somebody consumes them.
    pub async fn claim(settings: &RabbitSettings) -> Result<Claimed, BrokerError> {
        Broker::new(settings)?.claim().await
    }

    /// Returns what this process has seen of the queue, for monitoring.
    pub fn watch(&self) -> Arc<QueueWatch> {
        Arc::clone(&self.broker.watch)
    }

    /// Moves what the queues of the version before hold into those of this version, and deletes them
    /// when they are empty and unused. Runs until shutdown.
    pub async fn empty_older_queues(self, patience: IdlePeriods, shutdown: CancellationToken) {
        Drain::new(self.broker, self.publishing, patience, shutdown)
            .run()
            .await;
    }

    /// Creates a consumer of a lane. It connects when it is first asked for messages.
    pub fn consumer(&self, lane: Lane) -> RabbitConsumer {
        RabbitConsumer::new(Arc::clone(&self.broker), self.publishing.clone(), lane)
    }
}

#[async_trait]
impl Publisher for RabbitQueue {
    async fn publish(&self, message: Message) -> Result<(), QueueError> {
        let outgoing = Outgoing::to_work(&self.broker.names, message);
        let sent = self.publishing.send(outgoing).await;
        sent.map_err(QueueError::unavailable)?;
        self.broker.watch.count_published();
        Ok(())
    }

    async fn ready(&self) -> Result<(), QueueError> {
        self.publishing.ready().map_err(QueueError::unavailable)
    }

    async fn depths(&self) -> Result<Depths, QueueError> {
        depths::ask(&self.broker)
            .await
            .map_err(QueueError::unavailable)
    }
}

#[async_trait]
impl Announcer for RabbitQueue {
    async fn announce(&self, notice: Notice) -> Result<(), QueueError> {
        let outgoing = Outgoing::to_changes(&self.broker.names, notice);
        let sent = self.publishing.send(outgoing).await;
        sent.map_err(QueueError::unavailable)
    }
}
