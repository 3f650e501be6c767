//! `tollgate demo`: shows the main job on real input.

use std::process::ExitCode;

use clap::Args;

use super::error::CliError;
use super::stop::StopSignals;
use crate::demo;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Keeps serving after the story has ended, and prints the URLs and a token.
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(args: DemoArgs) -> Result<ExitCode, CliError> {
    let stage = Box::pin(demo::play()).await?;
    if args.keep {
        let mut signals = StopSignals::listen()?;
        stage.keep_serving()?;
        signals.next().await;
    }
    stage.close().await;
    Ok(ExitCode::SUCCESS)
}
