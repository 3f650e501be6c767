//! `tollgate migrate`: updates the schema.

use std::process::ExitCode;

use super::error::CliError;
use crate::config::Loaded;
use crate::output;
use crate::server::open_migrated;

pub(super) async fn run(loaded: &Loaded) -> Result<ExitCode, CliError> {
    let store = open_migrated(&loaded.config).await?;
    output::note(&format!("the store is {}", store.place()));
    store.close().await;
    output::line("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}
