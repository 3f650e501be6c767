//! Assembles one process: from settings to a running server.
//!
//! Everything that lives as long as the process is made here, once, in the order in which it is
//! needed: the data folder and its lock, the store, the queue, the worker's loops, HTTP. `serve`,
//! `demo`, `simulate` and the tests start the same server.

mod apis;
pub(crate) mod embedded;
mod endpoint_secrets;
mod error;
mod listening;
mod open;
mod queue;
mod repositories;
mod waiting;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Database};
use crate::data_dir::{self, DataDirLock};
use crate::domain::access::token::TokenHash;
use crate::domain::app_settings::SettingsLayer;
use crate::domain::id::AppSlug;
use crate::http::throttle::Throttle;
use crate::http::{self, AppState, Endpoints, HttpSettings, Limits, Parts, Roles, SignIns, Usage};
use crate::metrics::Metrics;
use crate::pipeline::acknowledged::Acknowledged;
use crate::pipeline::api_keys;
use crate::pipeline::hooks::{Deliveries, Destinations, HookSender};
use crate::pipeline::order::Order;
use crate::pipeline::owed_licenses;
use crate::pipeline::reseal;
use crate::pipeline::setup::{self, Environment};
use crate::pipeline::silence;
use crate::provider::{self, SignatureError};
use crate::random::RandomError;
use crate::store::{Actor, Claim, Store};
use crate::vault::Vault;
use crate::worker::Worker;

pub use apis::{keys_of, of as apis_of};
pub use error::StartError;
pub use open::{find_store, find_vault, key_file, open_migrated, open_store, open_vault};
use queue::{Started, start_queue};
pub use queue::{installation_id, rabbit_settings};
pub use waiting::Waiting;

/// How long loops and connections may take to end. HTTP drains in less time; a batch of the worker
/// takes a fraction of a second.
const STOP_TIME: Duration = Duration::from_secs(9);

/// A running server.
pub struct Server {
    address: SocketAddr,
    ops_address: Option<SocketAddr>,
    store: Store,
    first_start: bool,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    usage: Usage,
    sign_ins: SignIns,
    acknowledged: Acknowledged,
    clock: Arc<dyn Clock>,
    /// Held while this process serves the built-in queue.
    _alone: Option<(DataDirLock, Claim)>,
}

impl Server {
    /// Starts some roles.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config, roles: Roles) -> Result<Self, StartError> {
        // Boxed: callers would hold all of it in their own futures.
        Box::pin(Self::start_at(config, roles, Arc::new(SystemClock))).await
    }

    /// Starts some roles with a clock other than the system's.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_at(
        config: &Config,
        roles: Roles,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let built_in_queue = config.queue.amqp_url.is_none();
        if built_in_queue && roles != Roles::ALL {
            return Err(StartError::RolesApart);
        }
        let lock = if built_in_queue {
            data_dir::make(&config.store.data_dir)?;
            Some(DataDirLock::take(&config.store.data_dir)?)
        } else {
            None
        };
        let store = open_store(config).await?;
        let alone = match lock {
            Some(lock) => {
                let claim = store.claim_queue().await?.ok_or(StartError::QueueTaken)?;
                Some((lock, claim))
            }
            None => None,
        };
        let vault = open_vault(config)?;
        let store = store.with_license_maker(owed_licenses::maker(&vault));
        let first_start = prepare(&store, &vault, config, roles, &*clock).await?;

        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let metrics = Metrics::default();
        for spec in provider::ALL {
            let name = spec.name.as_str();
            metrics.webhooks.expect(name, SignatureError::CODES);
            metrics.worker.expect(name);
        }
        let apis = apis::of(config, &vault);
        let hooks = Destinations::new(config.hooks.private);
        let worker = roles.worker.then(|| {
            Worker::new(store.clone(), Arc::clone(&clock), shutdown.clone())
                .asking(apis.clone())
                .with_payload_retention(config.store.payload_retention)
                .with_batches(batches(config))
                .counted(metrics.worker.clone())
        });
        let worker = worker.map(|it| telling(it, config, hooks, &vault));
        let worker = worker.transpose()?;
        let parts = (&store, &clock, &metrics.queue);
        let running = (&shutdown, &tasks);
        let Started {
            publisher,
            health,
            figures,
        } = start_queue(config, parts, worker, running).await?;

        let fixed = endpoint_secrets::of(config);
        let endpoints = Endpoints::new(store.clone(), vault.clone(), Arc::clone(&clock), fixed);
        endpoints.refresh().await?;
        reseal::tell_of_old_keys(&store, &vault, clock.now()).await;
        tasks.spawn(endpoints.clone().run(shutdown.clone()));

        let repositories = repositories::of(config, &vault);
        if roles.api {
            let reader = repositories::Reader::new(&store, &repositories, &clock);
            tasks.spawn(reader.run(shutdown.clone()));
        }

        let usage = Usage::default();
        tasks.spawn(usage.clone().run(store.clone(), shutdown.clone()));
        let sign_ins = SignIns::default();
        let acknowledged = Acknowledged::default();
        let noting = acknowledged.clone();
        tasks.spawn(noting.run(store.clone(), Arc::clone(&clock), shutdown.clone()));
        let state = AppState::new(Parts {
            store: store.clone(),
            publisher,
            clock: Arc::clone(&clock),
            endpoints,
            vault,
            settings: settings(config, roles),
            bad_signatures: Throttle::default(),
            bad_tokens: Throttle::default(),
            sign_ins: sign_ins.clone(),
            usage: usage.clone(),
            acknowledged: acknowledged.clone(),
            health,
            repositories,
            apis,
            hooks,
            metrics,
            figures,
        });
        let (address, ops_address) = listen(config, &state, &shutdown, &tasks).await?;
        tasks.close();
        Ok(Self {
            address,
            ops_address,
            store,
            first_start,
            shutdown,
            tasks,
            usage,
            sign_ins,
            acknowledged,
            clock,
            _alone: alone,
        })
    }

    /// Returns the address on which HTTP listens; with the real port if the settings said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address for operators, if there is one of its own.
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.ops_address
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the path of a page of the console that signs its first visitor in with this admin token,
    /// within a few minutes.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn sign_in_path(&self, token: &str) -> Result<String, RandomError> {
        let text = self
            .sign_ins
            .offer(TokenHash::of(token), self.clock.now())?;
        Ok(format!("/console/sign-in/{text}"))
    }

    /// True if the store was empty, so that nobody can have a token yet.
    pub fn is_first_start(&self) -> bool {
        self.first_start
    }

    /// Stops everything, after finishing requests and the batch in progress within bounds.
    pub async fn stop(self) {
        self.shutdown.cancel();
        if tokio::time::timeout(STOP_TIME, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                "some work did not end in time; unsettled messages will be delivered again"
            );
        }
        self.usage.finish(&self.store).await;
        let now = self.clock.now();
        self.acknowledged.finish(&self.store, now).await;
        self.store.close().await;
    }
}

/// Makes the app `default`, and, for a worker, puts its plans and settings in place; returns true if
/// the store was empty. Other roles need no price mapping and the like, and one that lacks it must
/// not remove the workers'.
async fn prepare(
    store: &Store,
    vault: &Vault,
    config: &Config,
    roles: Roles,
    clock: &dyn Clock,
) -> Result<bool, StartError> {
    let order = Order {
        app: AppSlug::default_app(),
        actor: Actor::Operator,
        now: clock.now(),
        reason: None,
    };
    let environment = environment(config);
    let environment = roles.worker.then_some(&environment);
    let first_start = setup::prepare(store, &order, environment).await?;
    if roles.worker {
        api_keys::put_settings(store, vault, &order, &keys_of(config)).await?;
    }
    if roles.receiver {
        let fixed = endpoint_secrets::of(config);
        let fixed: Vec<_> = fixed.into_iter().map(|(provider, _)| provider).collect();
        silence::keep_settings(store, &fixed).await?;
    }
    Ok(first_start)
}

/// Returns what the settings say of the app `default`.
pub fn environment(config: &Config) -> Environment {
    let mut environment = Environment {
        plans: Vec::new(),
        semver_packages: BTreeSet::new(),
        settings: SettingsLayer {
            connected_accounts: config.connected_accounts.clone(),
            identity: config.identity.clone(),
            reconcile_every: None,
            refetch: None,
        },
    };
    for provider in provider::names() {
        let settings = config.provider(provider);
        let semver = settings.map(|settings| &settings.semver_packages);
        let semver = semver.into_iter().flatten().cloned();
        environment.semver_packages.extend(semver);
        let prices = settings.and_then(|settings| settings.prices.as_ref());
        for (price, grants) in prices.into_iter().flatten() {
            let plan = (provider, price.clone(), grants.clone());
            environment.plans.push(plan);
        }
    }
    environment
}

/// Lets a worker tell others of what happens as the settings say.
fn telling(
    worker: Worker,
    config: &Config,
    hooks: Destinations,
    vault: &Vault,
) -> Result<Worker, reqwest::Error> {
    let disable_after = config.hooks.disable_after;
    let sender = HookSender::new(hooks)?;
    Ok(worker
        .delivering(Deliveries::new(sender, vault.clone(), disable_after))
        .with_change_retention(config.hooks.change_retention)
        .telling_of_silence(config.webhooks.silent_after))
}

/// How many batches a worker processes at once: with one writer, or with the built-in queue in the same
/// database, several would only wait for each other.
fn batches(config: &Config) -> usize {
    let has_many_writers = matches!(config.store.database, Database::Postgres(_));
    if has_many_writers && config.queue.amqp_url.is_some() {
        config.queue.worker_batches
    } else {
        1
    }
}

fn settings(config: &Config, roles: Roles) -> HttpSettings {
    let token = config.admin.token.as_ref();
    HttpSettings {
        roles,
        signature_tolerance: config.webhooks.signature_tolerance,
        trusted_proxies: config.http.trusted_proxies.clone(),
        cors_origins: config.http.cors_origins.clone(),
        root_token: token.map(|token| TokenHash::of(token.expose_secret())),
        limits: Limits::default(),
        accel_prefix: config.registry.accel_prefix.clone(),
        console: config.http.console,
        payloads_for: config.http.payloads_for,
    }
}

async fn listen(
    config: &Config,
    state: &AppState,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(SocketAddr, Option<SocketAddr>), StartError> {
    let limits = state.settings.limits;
    let address_of = |listener: &TcpListener| {
        let what = StartError::io("asking for the address".to_owned());
        listener.local_addr().map_err(what)
    };
    let listener = listening::main(config).await?;
    let address = address_of(&listener)?;
    let mut ops_address = None;
    let trusted = config.http.trusted_proxies.clone();
    let router = match listening::ops(config).await? {
        None => http::router(state.clone()),
        Some(ops) => {
            ops_address = Some(address_of(&ops)?);
            let router = http::ops_router(state.clone());
            let proxies = trusted.clone();
            tasks.spawn(http::serve(ops, router, limits, proxies, shutdown.clone()));
            http::service_router(state.clone())
        }
    };
    let serving = http::serve(listener, router, limits, trusted, shutdown.clone());
    tasks.spawn(serving);
    Ok((address, ops_address))
}
