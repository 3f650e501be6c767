//! `tollgate token create`: makes an admin token and prints it once.

use std::process::ExitCode;

use clap::Subcommand;

use super::error::CliError;
use super::help;
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::domain::access::token::TokenText;
use crate::domain::id::AppSlug;
use crate::domain::role::Role;
use crate::domain::validate;
use crate::output;
use crate::pipeline::admin_tokens::{self, AdminTokenError, AdminTokenOrder, MAX_DAYS};
use crate::pipeline::order::Order;
use crate::pipeline::setup;
use crate::server::open_store;
use crate::store::{Actor, Store};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Makes an admin token and prints it; it cannot be shown again.
    #[command(after_help = help::TOKEN)]
    Create {
        /// A name for people to recognise it by.
        #[arg(long, value_parser = validate::line)]
        name: String,
        /// Its permissions: viewer, admin or owner.
        #[arg(long)]
        role: Role,
        /// Limits it to one app; valid for all apps by default.
        #[arg(long, value_name = "SLUG")]
        app: Option<AppSlug>,
        /// Number of days after which it expires; never by default.
        #[arg(long, value_name = "D", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
        expires_in_days: Option<u32>,
    },
}

pub(super) async fn run(command: TokenCommand, loaded: &Loaded) -> Result<ExitCode, CliError> {
    let TokenCommand::Create {
        name,
        role,
        app,
        expires_in_days,
    } = command;
    let store = open_store(&loaded.config).await?;
    output::note(&format!("the store is {}", store.place()));
    // Of a store that no server has used yet.
    setup::prepare(&store, &operator(), None).await?;
    let wanted = AdminTokenOrder {
        name,
        role,
        app: app.clone(),
        expires_in_days,
    };
    let text = match (create(&store, wanted).await, app) {
        (Err(CliError::Token(AdminTokenError::NoApp)), Some(app)) => {
            return Err(CliError::Missing {
                code: "app_not_found",
                what: format!("there is no app `{app}`"),
                right: "name an app that exists, or none for a token of all apps".to_owned(),
            });
        }
        (result, _) => result?,
    };
    store.close().await;
    output::line(text.expose());
    Ok(ExitCode::SUCCESS)
}

/// Makes an admin token and returns its text, which is stored nowhere.
pub(super) async fn create(store: &Store, wanted: AdminTokenOrder) -> Result<TokenText, CliError> {
    Ok(admin_tokens::issue(store, &operator(), wanted).await?.text)
}

fn operator() -> Order {
    Order {
        app: AppSlug::default_app(),
        actor: Actor::Operator,
        now: SystemClock.now(),
        reason: None,
    }
}
