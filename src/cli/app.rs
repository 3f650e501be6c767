//! The app that a command is about.

use clap::Args;

use crate::domain::id::AppSlug;

/// The app whose ledger is used.
#[derive(Debug, Args)]
pub(super) struct AppArgs {
    /// The app's slug.
    #[arg(long, default_value = "default", value_name = "SLUG")]
    pub(super) app: AppSlug,
}
