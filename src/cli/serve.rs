//! `tollgate serve`: receives webhooks, processes them and serves the API until told to stop.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tracing::{info, warn};

use super::error::CliError;
use super::stop::StopSignals;
use super::token;
use crate::config::Loaded;
use crate::domain::role;
use crate::http::Roles;
use crate::output;
use crate::pipeline::admin_tokens::AdminTokenOrder;
use crate::provider;
use crate::server::Server;
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Serves only this role; may be repeated. All roles by default.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
}

/// A part of the work that a process can take on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Receives webhooks.
    Receiver,
    /// Processes events, relays the spool, records dead letters, runs timers.
    Worker,
    /// Serves the admin API and the access check.
    Api,
}

impl ServeArgs {
    fn roles(&self) -> Roles {
        let has = |role| self.roles.is_empty() || self.roles.contains(&role);
        Roles {
            receiver: has(Role::Receiver),
            worker: has(Role::Worker),
            api: has(Role::Api),
        }
    }
}

pub(super) async fn run(args: &ServeArgs, loaded: &Loaded) -> Result<ExitCode, CliError> {
    let roles = args.roles();
    telemetry::init(&loaded.config.log)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let mut signals = StopSignals::listen()?;
    let server = Server::start(&loaded.config, roles).await?;
    info!(
        address = %server.address(),
        receiver = roles.receiver,
        worker = roles.worker,
        api = roles.api,
        "serving"
    );
    for provider in provider::names() {
        let settings = loaded.config.provider(provider);
        let has_secret = settings.is_some_and(|it| !it.webhook_secrets.is_empty());
        if roles.receiver && !has_secret {
            info!(
                %provider,
                "the settings have no webhook secret: /webhooks/{provider} exists only if one was \
                 added through the API"
            );
        }
    }
    if loaded.config.admin.token.is_none() && server.is_first_start() {
        introduce(&server).await?;
    }
    let signal = signals.next().await;
    info!("{signal} received; finishing work in progress");
    server.stop().await;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Helps the operator to sign in after the first start on an empty store. An owner token is shown
/// once on a terminal; a log must not contain one.
async fn introduce(server: &Server) -> Result<(), CliError> {
    if std::io::stdout().is_terminal() {
        let wanted = AdminTokenOrder {
            name: "first owner".to_owned(),
            role: role::Role::Owner,
            app: None,
            expires_in_days: None,
        };
        let text = token::create(server.store(), wanted).await?;
        output::line(&format!("owner token, shown only now: {}", text.expose()));
    } else {
        info!(
            "nobody can sign in yet: `tollgate token create --name me --role owner` makes a token"
        );
    }
    Ok(())
}
