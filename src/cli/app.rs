//! The app that a command is about.

use clap::Args;

use super::error::CliError;
use crate::domain::id::AppSlug;
use crate::pipeline::apps::{self, AppError};
use crate::store::Store;

/// The app whose ledger is used.
#[derive(Debug, Args)]
pub(super) struct AppArgs {
    /// The app's slug.
    #[arg(long, default_value = "default", value_name = "SLUG")]
    pub(super) app: AppSlug,
}

impl AppArgs {
    /// Refuses an app that does not exist: of a misspelt one nothing fails and nothing is lost, which
    /// reads like good news.
    ///
    /// # Errors
    /// When there is no such app, or the store failed.
    pub(super) async fn must_exist(&self, store: &Store) -> Result<(), CliError> {
        // It is made by the first start of a server, and a store that was only migrated has no events.
        if self.app == AppSlug::default_app() {
            return Ok(());
        }
        let found = apps::find(store, &self.app).await;
        found.map_err(|error| refused(error, &self.app))?;
        Ok(())
    }
}

/// Says why nothing was done about an app.
pub(super) fn refused(error: AppError, app: &AppSlug) -> CliError {
    match error {
        AppError::NotFound => CliError::Missing {
            code: "app_not_found",
            what: format!("there is no app `{app}`"),
            right: "`tollgate app list` shows those that there are".to_owned(),
        },
        error => CliError::App(error),
    }
}
