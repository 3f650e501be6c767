//! The commands, one file each.

mod check_config;
mod demo;
mod embedded;
mod events;
mod migrate;
mod openapi;
mod output;
mod samples;
mod serve;
mod simulate;
mod stop;
mod token;
mod trigger;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigErrors, Loaded, Source};
use crate::pipeline::admin_tokens::AdminTokenError;
use crate::pipeline::replay::ReplayError;
use crate::random::RandomError;
use crate::server::StartError;
use crate::store::StoreError;
use crate::telemetry::TelemetryError;

/// Keeps each customer's access in step with what they have paid for.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    /// Settings file (TOML: the variables' names in lower case). The environment wins.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the main job: real signed webhooks through a real server in a temporary folder.
    Demo(demo::DemoArgs),
    /// Receives webhooks, works them off, serves the API.
    Serve(serve::ServeArgs),
    /// Brings the store's schema up to date.
    Migrate,
    /// Prints every problem of the settings at once.
    CheckConfig(check_config::CheckConfigArgs),
    /// Makes admin tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Shows and replays events of the ledger.
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Signs a built-in sample event and posts it.
    Trigger(trigger::TriggerArgs),
    /// Prints the description of the API, OpenAPI 3.1.
    Openapi,
    /// Posts months of signed traffic, shuffled and duplicated, and compares the store with what
    /// should be.
    Simulate(simulate::SimulateArgs),
}

/// Whose data a command works on.
#[derive(Debug, Args)]
struct AppArgs {
    /// The app's slug.
    #[arg(long, default_value = "default", value_name = "SLUG")]
    app: crate::domain::id::AppSlug,
}

impl Cli {
    /// Runs the command that was given, on a runtime of its own.
    ///
    /// The runtime is started here and not in `main.rs` because a future is compiled
    /// in the crate that polls it. Polled by the binary, much of this library would be compiled a
    /// second time there.
    ///
    /// # Errors
    /// When it could not be done; see [`CliError`].
    pub fn run(self) -> Result<ExitCode, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(CliError::io("starting the runtime"))?;
        let code = runtime.block_on(self.run_command())?;
        // A terminal's pending read, if a command was waiting for one, must not hold the process.
        runtime.shutdown_background();
        Ok(code)
    }

    async fn run_command(self) -> Result<ExitCode, CliError> {
        let source = Source::of_process(self.config);
        match self.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Serve(args) => serve::run(&args, &load(&source)?).await,
            Command::Migrate => migrate::run(&load(&source)?).await,
            Command::CheckConfig(args) => check_config::run(&args, &source).await,
            Command::Token(command) => token::run(command, &load(&source)?).await,
            Command::Events(command) => events::run(command, &load(&source)?).await,
            Command::Trigger(args) => trigger::run(args, &source).await,
            Command::Openapi => Ok(openapi::run()),
            Command::Simulate(args) => simulate::run(args, &source).await,
        }
    }
}

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings are wrong.
    #[error("the settings are not right:\n{0}")]
    Config(Box<ConfigErrors>),
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
    /// A file, folder or socket.
    #[error("{what}")]
    Io {
        /// What was being done, with the path or address.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A request failed.
    #[error("the request to {url} failed")]
    Http {
        /// Where to.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// What was asked for does not exist, or the words of the command do not fit.
    #[error("{what}; {right}")]
    Usage {
        /// What was wrong.
        what: String,
        /// What would be right.
        right: String,
    },
    /// The demo saw something that should not be.
    #[error("the demo did not go as it should: {0}")]
    Demo(String),
    /// The simulation could not be carried through; differences are no error of the command.
    #[error("the simulation could not be carried through: {0}")]
    Simulation(String),
}

impl CliError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    fn http(url: &str) -> impl FnOnce(reqwest::Error) -> Self {
        let url = url.to_owned();
        // The address stands in our own message; the library would say it twice.
        move |source| Self::Http {
            url,
            source: source.without_url(),
        }
    }
}

/// Settings that are right, or all that is wrong with them.
fn load(source: &Source) -> Result<Loaded, CliError> {
    Config::load(source).map_err(|errors| CliError::Config(Box::new(errors)))
}
