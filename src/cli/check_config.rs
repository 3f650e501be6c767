//! `tollgate check-config`: prints every problem of the settings at once.

use std::process::ExitCode;

use clap::Args;

use super::error::CliError;
use crate::config::report::report;
use crate::config::{Config, Source};
use crate::output;
use crate::queue::rabbitmq::RabbitQueue;
use crate::server::{StartError, open_store, rabbit_settings};

#[derive(Debug, Args)]
pub(super) struct CheckConfigArgs {
    /// Also connects to the store and the broker, and creates whatever the server needs there.
    #[arg(long)]
    connect: bool,
}

pub(super) async fn run(args: &CheckConfigArgs, source: &Source) -> Result<ExitCode, CliError> {
    let outcome = Config::load(source);
    output::line(report(&outcome).trim_end());
    let Ok(loaded) = outcome else {
        return Ok(ExitCode::FAILURE);
    };
    if args.connect {
        let store = open_store(&loaded.config).await?;
        store.read().await?;
        store.close().await;
        output::line("the store answers");
        if let Some(settings) = rabbit_settings(&loaded.config) {
            RabbitQueue::check(&settings)
                .await
                .map_err(StartError::from)?;
            output::line("the broker answers, and has what is needed");
        }
    }
    Ok(ExitCode::SUCCESS)
}
