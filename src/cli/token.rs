//! `tollgate token create`: an admin token, printed once.

use std::process::ExitCode;

use clap::Subcommand;

use super::{CliError, output};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::domain::access::token::TokenText;
use crate::domain::id::AppSlug;
use crate::domain::role::Role;
use crate::domain::validate;
use crate::pipeline::admin_tokens::{self, AdminTokenError, AdminTokenOrder, MAX_DAYS};
use crate::pipeline::order::Order;
use crate::server::open_store;
use crate::store::{Actor, Store};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Makes an admin token and prints it; it cannot be shown again.
    Create {
        /// What people call it.
        #[arg(long, value_parser = validate::line)]
        name: String,
        /// What it allows: viewer, admin or owner.
        #[arg(long)]
        role: Role,
        /// The one app that it is bound to; all apps without it.
        #[arg(long, value_name = "SLUG")]
        app: Option<AppSlug>,
        /// After how many days it is refused; never without it.
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
    let wanted = AdminTokenOrder {
        name,
        role,
        app: app.clone(),
        expires_in_days,
    };
    let text = match (create(&store, wanted).await, app) {
        (Err(CliError::Token(AdminTokenError::NoApp)), Some(app)) => {
            return Err(CliError::Usage {
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

/// Makes an admin token; the answer is its text, which is kept nowhere.
pub(super) async fn create(store: &Store, wanted: AdminTokenOrder) -> Result<TokenText, CliError> {
    let order = Order {
        app: AppSlug::default_app(),
        actor: Actor::Operator,
        now: SystemClock.now(),
    };
    Ok(admin_tokens::issue(store, &order, wanted).await?.text)
}
