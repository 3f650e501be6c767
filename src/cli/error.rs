//! Reasons why a command could not do its work.

use crate::client::RequestError;
use crate::config::ConfigErrors;
use crate::demo::DemoError;
use crate::pipeline::admin_tokens::AdminTokenError;
use crate::pipeline::apps::AppError;
use crate::pipeline::dismissal::DismissError;
use crate::pipeline::import::ImportError;
use crate::pipeline::reconcile::ReconcileError;
use crate::pipeline::replay::ReplayError;
use crate::pipeline::reseal::ResealError;
use crate::random::RandomError;
use crate::server::StartError;
use crate::simulate::SimulateError;
use crate::store::{BackupError, CopyError, StoreError};
use crate::telemetry::TelemetryError;

/// A command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings are wrong.
    #[error("the settings are not right:\n{0}")]
    Config(#[from] Box<ConfigErrors>),
    /// Logging could not be set up.
    #[error("logging could not be set up")]
    Telemetry(#[from] TelemetryError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The server did not start, or the store could not be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No secret can be made.
    #[error("no secret can be made")]
    Random(#[from] RandomError),
    /// No token was made.
    #[error("no token was made")]
    Token(#[from] AdminTokenError),
    /// An event was not replayed.
    #[error("the event was not replayed")]
    Replay(#[from] ReplayError),
    /// Nothing was compared with a provider.
    #[error("nothing was compared")]
    Reconcile(#[from] ReconcileError),
    /// An event was not dismissed.
    #[error("not dismissed")]
    Dismiss(#[from] DismissError),
    /// An app was not paused or resumed.
    #[error(transparent)]
    App(AppError),
    /// A rotation of the secret key stopped.
    #[error("the rotation stopped; run it again to go on")]
    Reseal(#[from] ResealError),
    /// Nothing was imported. Wrong lines are not an error of the command.
    #[error("nothing was imported")]
    Import(#[from] ImportError),
    /// An import stopped half-way.
    #[error("the import stopped; what it did stays, and running it again goes on from there")]
    ImportStopped(#[source] ImportError),
    /// No backup was made.
    #[error("no backup was made")]
    Backup(#[from] BackupError),
    /// A store was not copied.
    #[error("not copied")]
    Copy(#[from] CopyError),
    /// The system refused something.
    #[error("{what}")]
    Io {
        /// The operation that failed.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The thing asked for does not exist, or the arguments do not fit together.
    #[error("{what}; {right}")]
    Usage {
        /// The mistake.
        what: String,
        /// How to correct it.
        right: String,
    },
    /// The demo failed.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The simulation could not be completed; differences are not an error of the command.
    #[error(transparent)]
    Simulation(#[from] SimulateError),
}

impl CliError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
