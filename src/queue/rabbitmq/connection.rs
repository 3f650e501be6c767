//! Connections to the broker, and what can go wrong with them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::protocol::{AMQPErrorKind, AMQPHardError};
use lapin::types::LongString;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use secrecy::ExposeSecret;
use tokio_rustls::TlsConnector;

use super::{RabbitSettings, transport};
use crate::queue::topology::{self, DeclareError, Mismatch, Names};

/// The time limit for connecting and for anything else that the broker must answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Seconds between heartbeats, unless the address says otherwise (`?heartbeat=`). A peer that
/// vanished is noticed after two of them; RabbitMQ's own default is 60.
const HEARTBEAT: u16 = 10;

/// A failure of the broker, or of reaching it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address cannot be read. It is not repeated, because it contains a password.
    #[error("AMQP_URL cannot be read as an address of a broker")]
    Url,
    /// The file of the certificate authority cannot be read, or contains no certificate.
    #[error("AMQP_CA_FILE `{}` cannot be used", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// An exchange or a queue on the broker is not what this version needs.
    #[error(transparent)]
    Mismatch(#[from] Arc<Mismatch>),
    /// The broker is away, or refused.
    #[error("{doing} failed: {cause}")]
    Amqp {
        /// The operation that failed.
        doing: String,
        /// The error of the broker or the network. Not a `source`: it shows its own causes already.
        cause: lapin::Error,
    },
    /// No answer in time.
    #[error("the broker did not answer in time")]
    NoAnswer,
    /// The broker is short of memory or disk and takes no messages at present.
    #[error("the broker takes no messages: it is short of memory or disk")]
    Blocked,
    /// The broker had no queue for the message and returned it.
    #[error("the broker had no queue for the message and returned it")]
    Unroutable,
    /// The queue refused the message: it is full, or its majority is away.
    #[error("the queue refused the message")]
    Rejected,
    /// The connection ended before the answer came.
    #[error("the connection to the broker was lost")]
    Lost,
}

impl BrokerError {
    pub(super) fn amqp(doing: &str) -> impl FnOnce(lapin::Error) -> Self {
        let doing = doing.to_owned();
        move |cause| Self::Amqp { doing, cause }
    }

    /// True if trying again is useless until somebody changes something.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Url | Self::CaFile { .. } | Self::Mismatch(_) => true,
            Self::Amqp { cause, .. } => match cause.kind() {
                // A broker that shuts down, lacks a resource, or has an internal error comes back.
                ErrorKind::ProtocolError(error) => !matches!(
                    error.kind(),
                    AMQPErrorKind::Hard(
                        AMQPHardError::CONNECTIONFORCED
                            | AMQPHardError::RESOURCEERROR
                            | AMQPHardError::INTERNALERROR
                    )
                ),
                _ => false,
            },
            Self::NoAnswer | Self::Blocked | Self::Unroutable | Self::Rejected | Self::Lost => {
                false
            }
        }
    }
}

impl From<DeclareError> for BrokerError {
    fn from(error: DeclareError) -> Self {
        match error {
            DeclareError::Mismatch(mismatch) => Self::Mismatch(Arc::new(mismatch)),
            DeclareError::Refused { object, cause } => Self::Amqp {
                doing: format!("declaring {object}"),
                cause,
            },
        }
    }
}

/// The address of the broker, and the names used there.
pub(super) struct Broker {
    uri: AMQPUri,
    tls: TlsConnector,
    pub(super) names: Names,
}

impl Broker {
    pub(super) fn new(settings: &RabbitSettings) -> Result<Self, BrokerError> {
        let url = settings.url.expose_secret();
        let mut uri: AMQPUri = url.parse().map_err(|_| BrokerError::Url)?;
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
        })
    }

    /// Opens a connection. The broker's own tools show `purpose`.
    pub(super) async fn connect(&self, purpose: &str) -> Result<Connection, BrokerError> {
        let name = LongString::from(format!("tollgate {purpose}"));
        let properties = ConnectionProperties::default().with_connection_name(name);
        let connecting = transport::connect(self.uri.clone(), properties, self.tls.clone());
        let doing = "connecting to the broker";
        in_time(async { connecting.await.map_err(BrokerError::amqp(doing)) }).await
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
            let channel = open_channel(&connection).await?;
            topology::declare(&channel, &broker.names).await?;
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

/// Waits for the broker, at most [`ANSWER_TIME`].
pub(super) async fn in_time<T>(
    asked: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    tokio::time::timeout(ANSWER_TIME, asked)
        .await
        .unwrap_or(Err(BrokerError::NoAnswer))
}
