//! `tollgate serve`: receives webhooks, works them off, serves the API, until told to stop.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tracing::{info, warn};

use super::stop::StopOrders;
use super::{CliError, output, token};
use crate::config::Loaded;
use crate::domain::role;
use crate::http::Roles;
use crate::pipeline::admin_tokens::AdminTokenOrder;
use crate::provider;
use crate::server::Server;
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Serves only this role; may be repeated. All roles without it.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
}

/// What a process can do for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Takes webhooks.
    Receiver,
    /// Works events off, relays the spool, records dead letters, runs timers.
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
    let mut orders = StopOrders::listen()?;
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
                "no webhook secret in the settings: /webhooks/{provider} exists only with one \
                 that the API was given"
            );
        }
    }
    if loaded.config.admin.token.is_none() && server.is_first_start() {
        introduce(&server).await?;
    }
    let order = orders.next().await;
    info!("{order}: finishing what is under way");
    server.stop().await;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// The first start on an empty store: nobody can sign in yet. A terminal is shown an owner
/// token once; a log must not hold one.
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
