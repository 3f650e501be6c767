//! What can go wrong with the broker.

use std::path::PathBuf;
use std::sync::Arc;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError};
use lapin::types::ShortString;

use super::refusal::remedy;
use crate::queue::topology::{DeclareError, Mismatch};

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
    /// `amqps` on a port without TLS.
    #[error(
        "the port {place} does not speak TLS: AMQP_URL with amqps:// needs the broker's port for \
         TLS, mostly 5671; amqp:// is for the other one"
    )]
    NoTls {
        /// Host and port.
        place: String,
    },
    /// `amqp` on a port that speaks TLS alone.
    #[error(
        "the port {place} speaks TLS: AMQP_URL needs amqps:// for it, or the broker's other port, \
         mostly 5672"
    )]
    OnlyTls {
        /// Host and port.
        place: String,
    },
    /// An exchange or a queue on the broker is not what this version needs.
    #[error(transparent)]
    Mismatch(#[from] Arc<Mismatch>),
    /// The queues belong to an installation with another store.
    #[error(
        "the queues of this TOLLGATE_AMQP_PREFIX belong to another installation: the exchange \
         `{exchange}` carries the id of another store. Two installations would take each other's \
         webhooks: give each a prefix or a virtual host of its own. If the other one is gone for good, \
         `tollgate claim-queues` with these settings takes over its queues and what waits in them"
    )]
    OtherInstallation {
        /// The exchange that carries the id of the store.
        exchange: ShortString,
    },
    /// The queues of another installation cannot be taken over, because it is running.
    #[error(
        "the queue `{queue}` of the other installation is consumed (consumers: {consumers}): stop its \
         workers first"
    )]
    Consumed {
        /// A queue that is consumed.
        queue: ShortString,
        /// Its consumers.
        consumers: u32,
    },
    /// The broker is away, or refused.
    #[error("{doing} failed: {cause}{}", remedy(cause))]
    Amqp {
        /// The operation that failed.
        doing: String,
        /// The error of the broker or the network. Not a `source`: it shows its own causes already.
        cause: lapin::Error,
    },
    /// No answer in time.
    #[error("the broker did not answer in time")]
    NoAnswer,
    /// No connection in time.
    #[error("the broker at {place} did not answer in time")]
    NoConnection {
        /// Host and port.
        place: String,
    },
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
    /// A queue that had been declared is gone.
    #[error("a queue is missing on the broker")]
    Missing,
    /// The work queue had been declared and is gone.
    #[error(
        "the queue `{queue}` was deleted: webhooks that were acknowledged and not yet processed may \
         be lost. It is left as it is, for the next start of a server makes it anew and reports the \
         loss; have the providers send again what they sent since the queue was last seen"
    )]
    WorkDeleted {
        /// Its name.
        queue: ShortString,
    },
    /// The broker ended the consumer alone: its queue was deleted, or, from RabbitMQ 4.3, it kept a
    /// message for too long.
    #[error("the broker cancelled the consumer")]
    Cancelled,
    /// Messages wait in the queue, and the broker sends none of them.
    #[error("{messages} messages wait in the queue and none came for {seconds} s")]
    Standstill {
        /// Seconds for which nothing came.
        seconds: u64,
        /// Messages that wait.
        messages: u64,
    },
}

impl BrokerError {
    pub(super) fn amqp(doing: &str) -> impl FnOnce(lapin::Error) -> Self {
        let doing = doing.to_owned();
        move |cause| Self::Amqp { doing, cause }
    }

    /// True if trying again is useless until somebody changes something.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Url
            | Self::CaFile { .. }
            | Self::NoTls { .. }
            | Self::OnlyTls { .. }
            | Self::Mismatch(_)
            | Self::OtherInstallation { .. }
            | Self::Consumed { .. } => true,
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
            Self::NoAnswer
            | Self::NoConnection { .. }
            | Self::Blocked
            | Self::Unroutable
            | Self::Rejected
            | Self::Lost
            | Self::Missing
            | Self::WorkDeleted { .. }
            | Self::Cancelled
            | Self::Standstill { .. } => false,
        }
    }
}

impl From<DeclareError> for BrokerError {
    fn from(error: DeclareError) -> Self {
        match error {
            DeclareError::Mismatch(mismatch) => Self::Mismatch(Arc::new(mismatch)),
            DeclareError::WorkMissing => Self::Missing,
            DeclareError::Refused { object, cause } => Self::Amqp {
                doing: format!("declaring {object}"),
                cause,
            },
        }
    }
}
