//! Reasons why a server did not start.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::data_dir::DataDirError;
use crate::pipeline::api_keys::KeyError;
use crate::queue::rabbitmq::BrokerError;
use crate::random::RandomError;
use crate::store::{Store, StoreError, Trouble};
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
    /// An address could not be listened on.
    #[error("listening on {address} failed; {right}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What would be right, with the setting.
        right: String,
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
    /// The store of the settings cannot be used.
    #[error("{place}")]
    StoreAt {
        /// Where it is, without any password.
        place: String,
        /// Why it cannot be used.
        #[source]
        source: StoreError,
    },
    /// There is no embedded store where the settings say.
    #[error(
        "there is no store at {}: run this in the folder where `serve` runs, or set \
         TOLLGATE_DATA_DIR or DATABASE_URL as there; `tollgate serve` makes one", .0.display()
    )]
    NoStore(PathBuf),
    /// Whether there is an embedded store cannot be seen.
    #[error(
        "whether there is a store at {} cannot be seen: run this as the user of `serve`, with its \
         TOLLGATE_DATA_DIR or DATABASE_URL",
        path.display()
    )]
    StoreHidden {
        /// Where it would be.
        path: PathBuf,
        /// Why it cannot be seen.
        #[source]
        source: std::io::Error,
    },
    /// The key for webhook secrets cannot be used.
    #[error("the key for webhook secrets cannot be used")]
    Vault(#[from] VaultError),
    /// An API key of the settings could not be put in place.
    #[error("an API key of the settings could not be put in place")]
    ApiKey(#[from] KeyError),
    /// No client for Composer repositories could be made.
    #[error("TLS cannot be set up")]
    Client(#[from] reqwest::Error),
    /// No id of the store could be generated.
    #[error("the id of the store could not be generated")]
    Random(#[from] RandomError),
    /// The broker cannot be used with these settings.
    #[error("RabbitMQ cannot be used")]
    Broker(#[from] BrokerError),
}

impl StartError {
    pub(super) fn of_store(store: &Store, source: StoreError) -> Self {
        let place = store.place();
        Self::StoreAt { place, source }
    }

    /// Returns the trouble of the database if a server may start later although nobody changes its
    /// settings: it is not there yet, or lets nobody in at present.
    pub fn passing_trouble(&self) -> Option<Trouble> {
        let (Self::Store(source) | Self::StoreAt { source, .. }) = self else {
            return None;
        };
        source.trouble().filter(|trouble| {
            // A standby may be the primary in a moment.
            matches!(trouble, Trouble::Away | Trouble::Busy | Trouble::ReadOnly)
        })
    }

    pub(super) fn io(what: String) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
