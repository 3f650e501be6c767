//! The commands, one file each.

mod app;
mod apps;
mod backup;
mod check_config;
mod claim_queues;
mod copy;
mod dates;
mod demo;
mod error;
mod event_filter;
mod events;
mod help;
mod import;
mod listing;
mod migrate;
mod openapi;
mod places;
mod reconcile;
mod refusal;
mod replays;
mod rotate_key;
mod sample;
mod serve;
mod server_url;
mod shell;
mod simulate;
mod stop;
mod token;
mod trigger;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigErrors, Loaded, Source};
use crate::output;

pub use error::CliError;
pub use refusal::Form;

/// The version, and the commit if the build knows it.
const VERSION: &str = match option_env!("TOLLGATE_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// Keeps each customer's access in step with what they have paid for.
#[derive(Debug, Parser)]
#[command(version = VERSION, about, max_term_width = 100,
    after_help = help::SHORT, after_long_help = help::of_all())]
pub struct Cli {
    /// Settings file (TOML, with the variables' names in lower case). The environment wins.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Demonstrates the main job: real signed webhooks through a real server in a temporary folder.
    #[command(after_help = help::DEMO)]
    Demo(demo::DemoArgs),
    /// Receives webhooks, processes them, serves the API.
    #[command(after_help = help::SERVE)]
    Serve(serve::ServeArgs),
    /// Updates the store's schema.
    #[command(after_help = help::MIGRATE)]
    Migrate,
    /// Prints every problem of the settings at once.
    #[command(after_help = help::CHECK_CONFIG)]
    CheckConfig(check_config::CheckConfigArgs),
    /// Copies the embedded store into a new file, while a server uses it.
    #[command(after_help = help::BACKUP)]
    Backup(backup::BackupArgs),
    /// Copies the embedded store into an empty PostgreSQL database, and compares the two.
    Copy(copy::CopyArgs),
    /// Creates admin tokens.
    #[command(subcommand, after_help = help::TOKEN)]
    Token(token::TokenCommand),
    /// Encrypts stored webhook secrets anew with the present secret key, while servers run.
    #[command(after_help = help::ROTATE_KEY)]
    RotateKey(rotate_key::RotateKeyArgs),
    /// Takes over the broker's queues from an installation that is gone.
    #[command(after_help = help::CLAIM_QUEUES)]
    ClaimQueues,
    /// Shows and replays events of the ledger.
    #[command(subcommand, after_help = help::EVENTS)]
    Events(events::EventsCommand),
    /// Shows and cancels replays of many events.
    #[command(subcommand, after_help = help::REPLAYS)]
    Replays(replays::ReplaysCommand),
    /// Compares what is kept with what a provider says, and repairs what differs; on an empty store,
    /// the first import.
    #[command(after_help = help::RECONCILE)]
    Reconcile(reconcile::ReconcileArgs),
    /// Takes over what another system knows.
    #[command(subcommand, after_help = help::IMPORT)]
    Import(import::ImportCommand),
    /// Signs a built-in sample event and posts it.
    #[command(after_help = help::TRIGGER)]
    Trigger(trigger::TriggerArgs),
    /// Pauses an app, and lets it go on.
    #[command(subcommand, after_help = help::APP)]
    App(apps::AppCommand),
    /// Prints the description of the API, OpenAPI 3.1.
    #[command(after_help = help::OPENAPI)]
    Openapi,
    /// Prints what a shell needs to complete commands and their options.
    #[command(after_help = help::COMPLETIONS)]
    Completions(shell::CompletionsArgs),
    /// Prints the manual page.
    #[command(after_help = help::MAN)]
    Man(shell::ManArgs),
    /// Posts months of signed traffic, shuffled and duplicated, and compares the store with the
    /// state it should have.
    #[command(after_help = help::SIMULATE)]
    Simulate(simulate::SimulateArgs),
}

impl Cli {
    /// Runs the command that was given, on a runtime of its own.
    ///
    /// The runtime is started here and not in `main.rs` because a future is compiled in the crate
    /// that polls it. Polled by the binary, much of this library would be compiled a second time
    /// there.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn run(self) -> Result<ExitCode, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(CliError::io("starting the runtime"))?;
        let code = runtime.block_on(self.run_command())?;
        // A terminal's pending read, if a command was waiting for one, must not hold the process.
        runtime.shutdown_background();
        match output::lost() {
            None => Ok(code),
            Some(error) => Err(CliError::io("writing to standard output")(error)),
        }
    }

    async fn run_command(self) -> Result<ExitCode, CliError> {
        let source = Source::of_process(self.config);
        match self.command {
            Command::Demo(args) => Box::pin(demo::run(args)).await,
            Command::Serve(args) => serve::run(&args, &load(&source)?).await,
            Command::Migrate => migrate::run(&load(&source)?).await,
            Command::CheckConfig(args) => check_config::run(&args, &source).await,
            Command::Token(command) => token::run(command, &load(&source)?).await,
            Command::Events(command) => events::run(command, &load(&source)?).await,
            Command::Replays(command) => replays::run(command, &load(&source)?).await,
            Command::Reconcile(args) => reconcile::run(args, &load(&source)?).await,
            Command::Import(command) => import::run(command, &load(&source)?).await,
            Command::Trigger(args) => trigger::run(args, &source).await,
            Command::Backup(args) => backup::run(&args, &load(&source)?).await,
            Command::Copy(args) => copy::run(&args).await,
            Command::RotateKey(args) => rotate_key::run(&args, &load(&source)?).await,
            Command::ClaimQueues => claim_queues::run(&load(&source)?).await,
            Command::App(command) => apps::run(command, &load(&source)?).await,
            Command::Completions(args) => Ok(shell::completions(&args, Self::command())),
            Command::Man(args) => shell::man(&args, Self::command()),
            Command::Openapi => Ok(openapi::run()),
            Command::Simulate(args) => Box::pin(simulate::run(args, &source)).await,
        }
    }
}

fn load(source: &Source) -> Result<Loaded, Box<ConfigErrors>> {
    Config::load(source).map_err(Box::new)
}
