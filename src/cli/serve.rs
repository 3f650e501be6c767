//! `tollgate serve`: receives webhooks, processes them and serves the API until told to stop.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::error::CliError;
use super::stop::StopSignals;
use super::token;
use crate::causes::chain;
use crate::config::{Config, Database, Loaded};
use crate::domain::role;
use crate::http::Roles;
use crate::output;
use crate::pipeline::admin_tokens::AdminTokenOrder;
use crate::provider;
use crate::server::{Server, StartError, Waiting, open_store};
use crate::store::Trouble;
use crate::telemetry;

/// The pause between two tries to reach a database that is away at the start.
const TRIED_AGAIN: Duration = Duration::from_secs(1);

/// The time after which the same reason is said again.
const SAID_AGAIN: Duration = Duration::from_mins(1);

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
    let (summaries, traces) = telemetry::init(&loaded.config.log)?;
    let stop_summaries = CancellationToken::new();
    let summing_up = tokio::spawn(summaries.run(stop_summaries.clone()));
    let served = until_told_to_stop(loaded, roles).await;
    // It may block, and a panic in it has a line of its own.
    let _ = tokio::task::spawn_blocking(move || traces.end()).await;
    stop_summaries.cancel();
    // It only writes what is left; a panic in it has a line of its own.
    let _ = summing_up.await;
    served?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Starts and serves.
async fn until_told_to_stop(loaded: &Loaded, roles: Roles) -> Result<(), CliError> {
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let mut signals = StopSignals::listen()?;
    let started = tokio::select! {
        started = start(&loaded.config, roles) => Some(started?),
        signal = signals.next() => {
            info!("{signal} received before the server had started");
            None
        }
    };
    if let Some(server) = started {
        serve(&loaded.config, roles, server, &mut signals).await?;
    }
    Ok(())
}

/// Serves until told to stop.
async fn serve(
    config: &Config,
    roles: Roles,
    server: Server,
    signals: &mut StopSignals,
) -> Result<(), CliError> {
    say_what_is_served(config, roles, &server);
    for provider in provider::names() {
        let settings = config.provider(provider);
        let has_secret = settings.is_some_and(|it| !it.webhook_secrets.is_empty());
        if roles.receiver && !has_secret {
            info!(
                %provider,
                "the settings have no webhook secret: /webhooks/{provider} exists only if one was \
                 added through the API"
            );
        }
    }
    if config.admin.token.is_none() && server.is_first_start() {
        introduce(&server).await?;
    }
    let signal = signals.next().await;
    info!("{signal} received; finishing work in progress");
    server.stop().await;
    Ok(())
}

/// Starts the server, and waits for its database if that is not there yet, as it waits for its
/// broker: whatever starts both need not start them in order.
async fn start(config: &Config, roles: Roles) -> Result<Server, CliError> {
    let on_a_server = matches!(config.store.database, Database::Postgres(_));
    loop {
        match Server::start(config, roles).await {
            Ok(server) => return Ok(server),
            Err(error) => match error.passing_trouble().filter(|_| on_a_server) {
                Some(trouble) => wait_for_database(config, &error, trouble).await?,
                None => return Err(error.into()),
            },
        }
    }
}

/// Returns when the database is there.
async fn wait_for_database(
    config: &Config,
    first: &StartError,
    trouble: Trouble,
) -> Result<(), CliError> {
    let began = Instant::now();
    let waiting = Waiting::start(config, trouble).await?;
    let (mut error, mut told) = (chain(first), None);
    loop {
        let is_new = told.as_ref().is_none_or(|(said, at): &(String, Instant)| {
            *said != error || at.elapsed() >= SAID_AGAIN
        });
        if is_new {
            warn!(error, "the server waits for its database, and answers 503");
            told = Some((error, Instant::now()));
        }
        tokio::time::sleep(TRIED_AGAIN).await;
        match open_store(config).await {
            Ok(store) => {
                store.close().await;
                let outage_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                info!(outage_ms, "the database is there");
                waiting.stop().await;
                return Ok(());
            }
            Err(again) => {
                let Some(trouble) = again.passing_trouble() else {
                    return Err(again.into());
                };
                waiting.tell(trouble);
                error = chain(&again);
            }
        }
    }
}

/// Writes the line by which a log tells what ran. It names kinds and counts, because addresses of
/// databases and brokers contain passwords.
fn say_what_is_served(config: &Config, roles: Roles, server: &Server) {
    let store = match &config.store.database {
        Database::Sqlite(_) => "sqlite",
        Database::Postgres(_) => "postgres",
    };
    let queue = match &config.queue.amqp_url {
        None => "built-in",
        Some(_) => "rabbitmq",
    };
    let secrets = |provider| {
        let settings = config.provider(provider);
        settings.map_or(0, |it| it.webhook_secrets.len())
    };
    let secrets = provider::names().map(|it| format!("{it}:{}", secrets(it)));
    let named = [
        (roles.receiver, "receiver"),
        (roles.worker, "worker"),
        (roles.api, "api"),
    ];
    let named: Vec<&str> = named.iter().filter(|it| it.0).map(|it| it.1).collect();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        roles = %named.join(","),
        store,
        queue,
        address = %server.address(),
        ops.address = server.ops_address().map(tracing::field::display),
        webhook.secrets = %secrets.collect::<Vec<_>>().join(","),
        signature.tolerance_s = config.webhooks.signature_tolerance.as_secs(),
        trusted.proxies = config.http.trusted_proxies.len(),
        root.token = config.admin.token.is_some(),
        filter = config.log.filter,
        // At the end, because who looks for the address of HTTP takes the first one of the line.
        store.place = server.store().place(),
        "serving"
    );
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
