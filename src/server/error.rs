//! Reasons why a server did not start.

use crate::data_dir::DataDirError;
use crate::queue::rabbitmq::BrokerError;
use crate::store::StoreError;
use crate::vault::VaultError;

/// A server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be used.
    #[error("{what} failed")]
    Io {
        /// The operation, with the address.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The built-in queue keeps only in memory which messages are being processed.
    #[error(
        "the built-in queue needs all roles in one process: leave out --role, or set AMQP_URL \
         to split the roles"
    )]
    RolesApart,
    /// Another process serves the built-in queue of this database.
    #[error(
        "another process serves this database, and the built-in queue serves one at a time: \
         stop the other one"
    )]
    QueueTaken,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The key for webhook secrets cannot be used.
    #[error("the key for webhook secrets cannot be used")]
    Vault(#[from] VaultError),
    /// No client for Composer repositories could be made.
    #[error("TLS cannot be set up")]
    Client(#[from] reqwest::Error),
    /// The broker cannot be used with these settings.
    #[error("RabbitMQ cannot be used")]
    Broker(#[from] BrokerError),
}

impl StartError {
    pub(super) fn io(what: String) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
