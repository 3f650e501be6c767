//! `tollgate migrate`: updates the schema.

use std::process::ExitCode;

use super::error::CliError;
use crate::config::Loaded;
use crate::output;
use crate::server::open_migrated;

pub(super) async fn run(loaded: &Loaded) -> Result<ExitCode, CliError> {
    open_migrated(&loaded.config).await?.close().await;
    output::line("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}
