//! Reasons why a command could not do its work.

use crate::client::RequestError;
use crate::config::{ConfigErrors, Problem};
use crate::demo::DemoError;
use crate::domain::validate::FieldError;
use crate::http::ApiError;
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
    /// The thing asked for does not exist.
    #[error("{what}; {right}")]
    Missing {
        /// The code that the API gives for it.
        code: &'static str,
        /// The mistake.
        what: String,
        /// How to correct it.
        right: String,
    },
    /// The arguments do not fit together, or not what there is.
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
    /// Returns the stable code, for programs: that of the API where it refuses the same.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Config(_) => "settings_invalid",
            Self::Store(error)
            | Self::Start(StartError::Store(error))
            | Self::Replay(ReplayError::Store(error))
            | Self::Reconcile(ReconcileError::Store(error))
            | Self::Dismiss(DismissError::Store(error))
            | Self::App(AppError::Store(error)) => of_store(error),
            Self::Start(StartError::StoreAt { source, .. }) => match source {
                StoreError::Outdated => "schema_outdated",
                StoreError::Newer { .. } => "schema_newer",
                StoreError::HalfCopied => "store_half_copied",
                source => of_store(source),
            },
            Self::Start(StartError::NoStore(_) | StartError::StoreHidden { .. }) => "store_missing",
            Self::Token(error) => ApiError::from(error).code(),
            Self::Replay(error) => ApiError::from(error).code(),
            Self::Reconcile(error) => ApiError::from(error).code(),
            Self::Dismiss(error) => ApiError::from(error).code(),
            Self::App(error) => ApiError::from(error).code(),
            Self::Missing { code, .. } => code,
            Self::Usage { .. } => "arguments_invalid",
            Self::Request(_) => "request_failed",
            Self::Telemetry(_)
            | Self::Start(_)
            | Self::Random(_)
            | Self::Reseal(_)
            | Self::Import(_)
            | Self::ImportStopped(_)
            | Self::Backup(_)
            | Self::Copy(_)
            | Self::Io { .. }
            | Self::Demo(_)
            | Self::Simulation(_) => "command_failed",
        }
    }

    /// Returns what is wrong with each setting, if it is the settings.
    pub(super) fn parts(&self) -> Vec<FieldError> {
        let Self::Config(errors) = self else {
            return Vec::new();
        };
        let part = |problem: &Problem| FieldError::new(&*problem.variable, problem.to_string());
        errors.problems.iter().map(part).collect()
    }

    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// The code of the readiness check for a database that does not work, and that of the API for a refusal.
fn of_store(error: StoreError) -> &'static str {
    match error.trouble() {
        Some(trouble) => trouble.code(),
        None => ApiError::from(error).code(),
    }
}
