//! One process, assembled: settings in, a running server out.
//!
//! Everything that lives as long as the process is made here, once, in the order in which it is
//! needed: the data folder and its lock, the store, the queue, the worker's loops, HTTP. `serve`,
//! `demo` and the tests start the same server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Database, ProviderConfig};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::token::TokenHash;
use crate::http::throttle::Throttle;
use crate::http::{self, AppState, Endpoints, HttpSettings, Limits, Parts, Roles};
use crate::lock::DataDirLock;
use crate::pipeline::spool::Spooling;
use crate::provider::{Mode, Secret};
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::rabbitmq::{BrokerError, RabbitQueue, RabbitSettings};
use crate::queue::{Lane, Publisher};
use crate::store::vault::{Vault, VaultError};
use crate::store::{Store, StoreError};
use crate::worker::Worker;

/// How long loops and connections may take to end. HTTP drains for less; a batch of the worker
/// takes a fraction of a second.
const STOP_TIME: Duration = Duration::from_secs(9);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file, folder or socket.
    #[error("{what} failed")]
    Io {
        /// What was being done, with the path or address.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Another process serves the data folder.
    #[error(
        "another process serves `{}`, and the built-in queue serves one at a time: \
         stop the other one, or set TOLLGATE_DATA_DIR to another folder", .0.display()
    )]
    Locked(PathBuf),
    /// The settings name a database that this build does not serve.
    #[error("this build serves the embedded store only: DATABASE_URL should be sqlite://PATH")]
    NotEmbedded,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The key for webhook secrets cannot be used.
    #[error("the key for webhook secrets cannot be used")]
    Vault(#[from] VaultError),
    /// The broker cannot be used with these settings.
    #[error("RabbitMQ cannot be used")]
    Broker(#[from] BrokerError),
}

impl StartError {
    pub(crate) fn io(what: String) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    store: Store,
    first_start: bool,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    _lock: DataDirLock,
}

impl Server {
    /// Starts all roles.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_at(config, Arc::new(SystemClock)).await
    }

    /// Starts all roles by another clock than the system's.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_at(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        make_data_dir(&config.store.data_dir)?;
        let lock = DataDirLock::take(&config.store.data_dir)?;
        let store = open_store(config).await?;
        let first_start = prepare(&store, config, &*clock).await?;
        let vault = open_vault(config)?;

        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let worker = Worker::new(store.clone(), Arc::clone(&clock), shutdown.clone());
        let publisher = start_queue(config, &store, &clock, worker, &tasks).await?;

        let fixed = [
            (Provider::Stripe, &config.stripe),
            (Provider::Paddle, &config.paddle),
        ];
        let fixed = fixed
            .into_iter()
            .flat_map(|(provider, it)| secrets(provider, it))
            .collect();
        let endpoints = Endpoints::new(store.clone(), vault.clone(), Arc::clone(&clock), fixed);
        endpoints.refresh().await?;
        tasks.spawn(endpoints.clone().run(shutdown.clone()));

        let state = AppState::new(Parts {
            store: store.clone(),
            publisher,
            clock: Arc::clone(&clock),
            endpoints,
            vault,
            settings: settings(config),
            bad_signatures: Throttle::default(),
            bad_tokens: Throttle::default(),
        });
        let address = listen(config, &state, &shutdown, &tasks).await?;
        tasks.close();
        Ok(Self {
            address,
            store,
            first_start,
            shutdown,
            tasks,
            _lock: lock,
        })
    }

    /// Where HTTP listens; the real port, if the settings said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The store was empty: nobody can have a token yet.
    pub fn is_first_start(&self) -> bool {
        self.first_start
    }

    /// Ends everything: requests under way and the batch in hand are finished, within bounds.
    pub async fn stop(self) {
        self.shutdown.cancel();
        if tokio::time::timeout(STOP_TIME, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some work did not end in time; what was not settled will come again");
        }
        self.store.close().await;
    }
}

/// Starts the queue of the settings with its worker; answers where webhooks and replays go.
async fn start_queue(
    config: &Config,
    store: &Store,
    clock: &Arc<dyn Clock>,
    worker: Worker,
    tasks: &TaskTracker,
) -> Result<Arc<dyn Publisher>, StartError> {
    let Some(settings) = rabbit_settings(config) else {
        let queue = EmbeddedQueue::new(store.clone(), Arc::clone(clock));
        let (work, failed) = (queue.consumer(Lane::Work), queue.consumer(Lane::Failed));
        tasks.spawn(worker.run(work, failed, None));
        return Ok(Arc::new(queue));
    };
    let queue = RabbitQueue::start(&settings).await?;
    let (work, failed) = (queue.consumer(Lane::Work), queue.consumer(Lane::Failed));
    let queue: Arc<dyn Publisher> = Arc::new(queue);
    tasks.spawn(worker.run(work, failed, Some(Arc::clone(&queue))));
    let spooling = Spooling::new(queue, store.clone(), Arc::clone(clock));
    Ok(Arc::new(spooling))
}

/// The broker of the settings; none for the built-in queue.
pub fn rabbit_settings(config: &Config) -> Option<RabbitSettings> {
    Some(RabbitSettings {
        url: config.queue.amqp_url.clone()?,
        ca_file: config.queue.amqp_ca_file.clone(),
        prefix: config.queue.amqp_prefix.clone(),
    })
}

/// The store of the settings, with its schema up to date: the embedded store brings itself up
/// to date whenever it is opened.
///
/// # Errors
/// See [`StartError`].
pub async fn open_store(config: &Config) -> Result<Store, StartError> {
    let path = match &config.store.database {
        Database::Sqlite(path) => path,
        Database::Postgres(_) => return Err(StartError::NotEmbedded),
    };
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        make_data_dir(folder)?;
    }
    let store = Store::open_sqlite(path).await?;
    store.migrate().await?;
    Ok(store)
}

/// Makes a folder that only its owner can enter: it will hold a key and personal data.
fn make_data_dir(folder: &Path) -> Result<(), StartError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(StartError::io(format!("making `{}`", folder.display())))
}

/// The app `default` and the plans of the settings; whether the store was empty.
async fn prepare(store: &Store, config: &Config, clock: &dyn Clock) -> Result<bool, StoreError> {
    let now = clock.now();
    let mut tx = store.begin().await?;
    let first_start = tx.app_ensure_default(now).await?;
    let mapped = [
        (Provider::Stripe, &config.stripe),
        (Provider::Paddle, &config.paddle),
    ];
    let mut plans = Vec::new();
    for (provider, settings) in mapped {
        for (price, grants) in settings.prices.iter().flatten() {
            plans.push((provider, price.clone(), grants.clone()));
        }
    }
    tx.plan_replace_environment(&AppSlug::default_app(), &plans, now)
        .await?;
    tx.commit().await?;
    Ok(first_start)
}

fn open_vault(config: &Config) -> Result<Vault, VaultError> {
    match &config.store.secret_key {
        Some(key) => Ok(Vault::new(key.expose())),
        None => Vault::load_or_make(&config.store.data_dir.join("secret.key")),
    }
}

fn secrets(provider: Provider, settings: &ProviderConfig) -> Vec<(Provider, Secret)> {
    let secret = |key: &secrecy::SecretString| Secret {
        id: None,
        mode: Mode::Any,
        key: key.clone(),
    };
    settings
        .webhook_secrets
        .iter()
        .map(|key| (provider, secret(key)))
        .collect()
}

fn settings(config: &Config) -> HttpSettings {
    let token = config.admin.token.as_ref();
    HttpSettings {
        roles: Roles::ALL,
        signature_tolerance: config.webhooks.signature_tolerance,
        trusted_proxies: config.http.trusted_proxies.clone(),
        root_token: token.map(|token| TokenHash::of(token.expose_secret())),
        limits: Limits::default(),
    }
}

async fn listen(
    config: &Config,
    state: &AppState,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<SocketAddr, StartError> {
    let limits = state.settings.limits;
    let bind = async |address: SocketAddr| {
        let what = StartError::io(format!("listening on {address}"));
        TcpListener::bind(address).await.map_err(what)
    };
    let listener = bind(config.http.listen).await?;
    let address = listener
        .local_addr()
        .map_err(StartError::io("asking for the address".to_owned()))?;
    let router = match config.http.ops_listen {
        None => http::router(state.clone()),
        Some(ops) => {
            let ops = bind(ops).await?;
            let router = http::ops_router(state.clone());
            tasks.spawn(http::serve(ops, router, limits, shutdown.clone()));
            http::service_router(state.clone())
        }
    };
    tasks.spawn(http::serve(listener, router, limits, shutdown.clone()));
    Ok(address)
}
