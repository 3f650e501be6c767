//! Connections to the broker.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::types::{LongString, ShortString};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::error::BrokerError;
use super::watch::QueueWatch;
use super::{RabbitSettings, transport};
use crate::host_and_port::host_and_port;
use crate::queue::names::Names;
use crate::queue::topology::{self, DeclareError, QueueCounts, WorkQueue};

/// The time limit for connecting and for anything else that the broker must answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// The time limit for finding out whether a port speaks TLS.
const PROBE_TIME: Duration = Duration::from_secs(2);

/// Seconds between heartbeats, unless the address says otherwise (`?heartbeat=`). We notice a peer
/// that vanished after two of them. The broker takes two to three, and only then gives to others
/// what a vanished worker had in hand: so three seconds, for that to be less than ten. RabbitMQ's
/// own default is 60; below two, a busy machine would look like a dead one.
const HEARTBEAT: u16 = 3;

/// The longest frame in bytes of a process that publishes only what it made itself, unless the address
/// says otherwise (`?frame_max=`); RabbitMQ's own is 128 KiB. The client library has memory for 32
/// frames in each direction of a connection and writes all of it over and over: 8 MiB, more than a
/// processor's cache. Bodies are cut into frames. The headers of a message have to fit into one, so
/// whoever consumes, or passes on what others sent, keeps the broker's limit.
const FRAME_MAX_OF_OURS: u32 = 32 * 1024;

/// The address of the broker, and the names used there.
pub(super) struct Broker {
    uri: AMQPUri,
    tls: TlsConnector,
    pub(super) names: Names,
    /// The id of the store; `None` skips the check of who owns the queues.
    pub(super) installation: Option<String>,
    pub(super) watch: Arc<QueueWatch>,
    /// Held while declaring, so that what is gone is reported once.
    declaring: Mutex<()>,
}

impl Broker {
    pub(super) fn new(settings: &RabbitSettings) -> Result<Self, BrokerError> {
        let url = settings.url.expose_secret();
        let mut uri = transport::address(url).ok_or(BrokerError::Url)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let authorities = settings.ca_file.as_deref();
        let tls = transport::connector(authorities).map_err(|source| BrokerError::CaFile {
            path: settings.ca_file.clone().unwrap_or_default(),
            source: Arc::new(source),
        })?;
        Ok(Self {
            uri,
            tls,
            names: Names::new(&settings.prefix),
            installation: settings.installation.clone(),
            watch: Arc::default(),
            declaring: Mutex::default(),
        })
    }

    /// Limits frames to what messages of our own need.
    pub(super) fn for_own_messages(mut self) -> Self {
        self.uri.query.frame_max.get_or_insert(FRAME_MAX_OF_OURS);
        self
    }

    /// Declares everything on a new channel, and returns the channel. If the work queue had been
    /// there before and is gone, this is the moment to say what may be lost with it.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<Channel, BrokerError> {
        let _declaring = self.declaring.lock().await;
        // First, so that nothing is declared or reported as lost in queues of others.
        self.declare_owner(connection).await?;
        if self.watch.expects_work() || self.was_declared(connection).await? {
            let channel = open_channel(connection).await?;
            match topology::declare(&channel, &self.names, WorkQueue::Expected).await {
                Ok(work) => {
                    self.watch.note_work_depth(work.ready);
                    return Ok(channel);
                }
                Err(DeclareError::WorkMissing) => self.watch.note_work_missing(),
                Err(error) => return Err(error.into()),
            }
        }
        let channel = open_channel(connection).await?;
        let work = topology::declare(&channel, &self.names, WorkQueue::Made).await?;
        // The try that found it gone may have failed to declare all of it.
        if self.watch.take_work_missing() {
            self.watch.report_loss(&self.names.work());
        }
        self.watch.note_work_depth(work.ready);
        Ok(channel)
    }

    /// Declares everything on a new channel, unless the work queue was deleted: recreating it would hide
    /// the loss, so only a server does that, and reports it.
    async fn declare_unless_lost(&self, connection: &Connection) -> Result<Channel, BrokerError> {
        self.check_owner(connection).await?;
        let work = if self.was_declared(connection).await? {
            WorkQueue::Expected
        } else {
            WorkQueue::Made
        };
        let channel = open_channel(connection).await?;
        match topology::declare(&channel, &self.names, work).await {
            Ok(_) => Ok(channel),
            Err(DeclareError::WorkMissing) => Err(BrokerError::WorkDeleted {
                queue: self.names.work(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// True if this process has never seen the work queue, but what is declared after it is on the
    /// broker: then it was there before this process began, and if it is gone, it was deleted while
    /// nobody watched.
    async fn was_declared(&self, connection: &Connection) -> Result<bool, BrokerError> {
        if !self.watch.is_new() {
            return Ok(false);
        }
        let channel = open_channel(connection).await?;
        let found = topology::inspect(&channel, self.names.failed()).await?;
        Ok(found.is_some())
    }

    /// Opens a connection. The broker's own tools show `purpose`.
    pub(super) async fn connect(&self, purpose: &'static str) -> Result<Connection, BrokerError> {
        let name = LongString::from(format!("tollgate {purpose}"));
        let properties = ConnectionProperties::default().with_connection_name(name);
        let connecting = transport::connect(self.uri.clone(), properties, self.tls.clone());
        let place = self.place();
        let doing = format!("connecting to the broker at {place}");
        let connected = in_time(async { connecting.await.map_err(BrokerError::amqp(&doing)) });
        let connection = connected.await.map_err(|error| match error {
            BrokerError::NoAnswer => BrokerError::NoConnection { place },
            other => other,
        })?;
        self.watch.count_connected(purpose);
        Ok(connection)
    }
}

impl Broker {
    /// Host and port of the address, which are no secret.
    fn place(&self) -> String {
        let authority = &self.uri.authority;
        host_and_port(&authority.host, authority.port)
    }

    /// Finds out at the start whether a failure to connect comes from the wrong port, which the
    /// broker's side can only tell by going away.
    pub(super) async fn explain(&self, error: BrokerError) -> BrokerError {
        let may_be_the_port = matches!(
            error,
            BrokerError::Amqp { .. } | BrokerError::NoAnswer | BrokerError::NoConnection { .. }
        );
        if !may_be_the_port {
            return error;
        }
        let wants_tls = self.uri.scheme == AMQPScheme::AMQPS;
        let probing = transport::speaks_tls(&self.uri, &self.tls);
        let speaks_tls = tokio::time::timeout(PROBE_TIME, probing).await;
        let place = self.place();
        match speaks_tls {
            Ok(Some(false)) if wants_tls => BrokerError::NoTls { place },
            Ok(Some(true)) if !wants_tls => BrokerError::OnlyTls { place },
            Ok(_) | Err(_) => error,
        }
    }
}

/// A connection that publishes, with everything declared.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
}

impl Link {
    pub(super) async fn open(broker: &Broker) -> Result<Self, BrokerError> {
        let connection = broker.connect("publisher").await?;
        let declared = in_time(async {
            let channel = broker.declare(&connection).await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await
                .map_err(BrokerError::amqp("asking for confirms"))?;
            Ok(channel)
        });
        match declared.await {
            Ok(channel) => Ok(Self {
                connection,
                channel,
            }),
            Err(error) => {
                close(&connection).await;
                Err(error)
            }
        }
    }
}

/// Connects and declares as a publisher does, and disconnects, but makes no work queue anew that was
/// deleted.
pub(super) async fn try_link(broker: &Broker) -> Result<(), BrokerError> {
    let connection = broker.connect("check").await?;
    let declared = in_time(broker.declare_unless_lost(&connection)).await;
    close(&connection).await;
    declared.map(drop)
}

/// Closes a connection properly, which dropping it does only when nothing is in flight.
pub(super) async fn close(connection: &Connection) {
    let closed = connection.close(200, "done".into());
    // Whether the close arrives or not, the connection is no longer used.
    let _ = tokio::time::timeout(ANSWER_TIME, closed).await;
}

pub(super) async fn open_channel(connection: &Connection) -> Result<Channel, BrokerError> {
    connection
        .create_channel()
        .await
        .map_err(BrokerError::amqp("opening a channel"))
}

/// Looks at a queue, on a channel of its own: the broker closes it when the queue is missing.
pub(super) async fn inspect(
    connection: &Connection,
    queue: ShortString,
) -> Result<Option<QueueCounts>, BrokerError> {
    let channel = open_channel(connection).await?;
    let counts = topology::inspect(&channel, queue).await?;
    if counts.is_some() {
        close_channel(&channel).await?;
    }
    Ok(counts)
}

pub(super) async fn close_channel(channel: &Channel) -> Result<(), BrokerError> {
    let closed = channel.close(200, "done".into()).await;
    closed.map_err(BrokerError::amqp("closing a channel"))
}

/// Waits for the broker, at most [`ANSWER_TIME`].
pub(super) async fn in_time<T>(
    asked: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    tokio::time::timeout(ANSWER_TIME, asked)
        .await
        .unwrap_or(Err(BrokerError::NoAnswer))
}
