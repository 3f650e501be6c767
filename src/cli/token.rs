//! `tollgate token create`: an admin token, printed once.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use super::{CliError, output};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::domain::id::{AdminTokenId, AppSlug};
use crate::domain::role::Role;
use crate::domain::token::{AdminToken, TokenText};
use crate::random;
use crate::server::open_store;
use crate::store::{Actor, AuditEntry, Store};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Makes an admin token and prints it; it cannot be shown again.
    Create {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// What it allows: viewer, admin or owner.
        #[arg(long)]
        role: Role,
        /// The one app that it is bound to; all apps without it.
        #[arg(long, value_name = "SLUG")]
        app: Option<AppSlug>,
        /// After how many days it is refused; never without it.
        #[arg(long, value_name = "D", value_parser = clap::value_parser!(u32).range(1..=36_500))]
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
    if let Some(app) = &app
        && store.read().await?.app_existing([app]).await?.is_empty()
    {
        return Err(CliError::Usage {
            what: format!("there is no app `{app}`"),
            right: "name an app that exists, or none for a token of all apps".to_owned(),
        });
    }
    let life = expires_in_days.map(|days| Duration::from_hours(24 * u64::from(days)));
    let text = create(&store, name, role, app, life).await?;
    store.close().await;
    output::line(text.expose());
    Ok(ExitCode::SUCCESS)
}

/// Makes an admin token; the answer is its text, which is kept nowhere.
pub(super) async fn create(
    store: &Store,
    name: String,
    role: Role,
    app: Option<AppSlug>,
    life: Option<Duration>,
) -> Result<TokenText, CliError> {
    let now = SystemClock.now();
    let text = TokenText::for_admin(random::bytes()?);
    let token = AdminToken {
        id: AdminTokenId::from_uuid(random::uuid(now)?),
        app,
        name,
        role,
        prefix: text.shown_prefix(),
        created_at: now,
        expires_at: life.map(|life| now.plus(life)),
        last_used_at: None,
    };
    let audit = AuditEntry {
        app: token.app.clone().unwrap_or_else(AppSlug::default_app),
        at: now,
        actor: Actor::Operator,
        customer: None,
        operation: "admin_token_create".to_owned(),
        details: serde_json::json!({ "id": token.id, "name": token.name, "role": token.role }),
    };
    let mut tx = store.begin().await?;
    tx.admin_token_add(&token, &text.hash()).await?;
    tx.audit_add(&[audit]).await?;
    tx.commit().await?;
    Ok(text)
}
