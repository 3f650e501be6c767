//! `tollgate migrate`: brings the schema up to date.

use std::process::ExitCode;

use super::CliError;
use crate::config::Loaded;
use crate::output;
use crate::server::open_migrated;

pub(super) async fn run(loaded: &Loaded) -> Result<ExitCode, CliError> {
    open_migrated(&loaded.config).await?.close().await;
    output::line("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}
