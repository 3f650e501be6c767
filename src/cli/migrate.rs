//! `tollgate migrate`: brings the schema up to date.

use std::process::ExitCode;

use super::{CliError, output};
use crate::config::Loaded;
use crate::server::open_store;

pub(super) async fn run(loaded: &Loaded) -> Result<ExitCode, CliError> {
    open_store(&loaded.config).await?.close().await;
    output::line("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}
