//! `tollgate serve`: receives webhooks, works them off, serves the API, until told to stop.

use std::io::IsTerminal;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::{CliError, output, token};
use crate::config::Loaded;
use crate::domain::role::Role;
use crate::pipeline::tokens::AdminTokenOrder;
use crate::server::Server;
use crate::telemetry;

pub(super) async fn run(loaded: &Loaded) -> Result<ExitCode, CliError> {
    telemetry::init(&loaded.config.log)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    // Listened for before the start, so that an order to stop is never missed.
    let mut terminate =
        signal(SignalKind::terminate()).map_err(CliError::io("wait for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::io("wait for SIGINT"))?;
    let server = Server::start(&loaded.config).await?;
    info!(address = %server.address(), "serving");
    for (provider, settings) in [
        ("stripe", &loaded.config.stripe),
        ("paddle", &loaded.config.paddle),
    ] {
        if settings.webhook_secrets.is_empty() {
            info!(
                provider,
                "no webhook secret in the settings: /webhooks/{provider} exists only with one \
                 that the API was given"
            );
        }
    }
    if loaded.config.admin.token.is_none() && server.is_first_start() {
        introduce(&server).await?;
    }
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: finishing what is under way"),
        _ = interrupt.recv() => info!("SIGINT: finishing what is under way"),
    }
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
            role: Role::Owner,
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
