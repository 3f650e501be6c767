//! Settings: where they come from, the form they must have, and what is wrong with them.
//!
//! Each setting is an environment variable. A file (`--config tollgate.toml`) may hold the same
//! names in lower case; the environment wins. Secrets can also be read from a file that
//! `NAME_FILE` names, as container platforms mount them.
//!
//! Loading never stops at the first problem: whoever sets up a service wants the whole list, not
//! one line per restart. Unknown keys of the file are refused, because a misspelt setting would
//! otherwise be a default in disguise. Unknown `TOLLGATE_` variables are only warned about, because
//! orchestrators add some of their own.
//!
//! Refused: a settings library with derived parsers. It reports one problem at a time, names the
//! field instead of the variable, and quotes the value, which may be a secret.

mod database;
mod load;
mod log_filter;
mod parse;
mod postgres_url;
mod prices;
mod problem;
mod reader;
pub mod report;
mod secret_key;
mod setting;
mod url;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::composer::location::Location;
use crate::domain::access::plan::PackageGrant;
use crate::domain::connected_account::ConnectedAccounts;
use crate::domain::id::Provider;
use crate::domain::identity::seller_id::Identity;
use crate::domain::role::Role;
use crate::domain::span::Span;
use ipnet::IpNet;
use reqwest::Url;
use secrecy::SecretString;

pub use database::Database;
pub use problem::{ConfigErrors, Origin, Problem, ProblemKind, Warning};
pub use secret_key::{SecretKey, SecretKeyError};

/// The names of all settings, each with what is expected of it.
pub fn settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = setting::ALL.iter();
    all.map(|setting| (setting.name, setting.expected))
}

/// All settings. Each field names its variable, unit and default.
#[derive(Debug, Clone)]
pub struct Config {
    /// The listening addresses of HTTP.
    pub http: HttpConfig,
    /// The place where data is stored.
    pub store: StoreConfig,
    /// The queue between receiver and worker.
    pub queue: QueueConfig,
    /// Access for administrators.
    pub admin: AdminConfig,
    /// The webhooks of all providers.
    pub webhooks: WebhookConfig,
    /// Stripe, for the app `default`.
    pub stripe: ProviderConfig,
    /// Paddle, for the app `default`.
    pub paddle: ProviderConfig,
    /// `TOLLGATE_CONNECTED_ACCOUNTS`: the connected accounts whose events count for the app
    /// `default`, separated by commas. Default `None`: those that the API names.
    pub connected_accounts: Option<ConnectedAccounts>,
    /// `TOLLGATE_IDENTITY_METADATA_KEY` and `TOLLGATE_IDENTITY_CLIENT_REFERENCE_ID`: where the
    /// seller's own ids are found for the app `default`. Default `None`: where the API says.
    pub identity: Option<Identity>,
    /// The Composer repository of the app `default`.
    pub registry: RegistryConfig,
    /// What others are told of changes.
    pub hooks: HookConfig,
    /// Contents and format of the log.
    pub log: LogConfig,
}

/// Settings of the Composer repository that customers see filtered, of the app `default`.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// `TOLLGATE_REPOSITORY`: a folder, or the base URL of a Composer repository. Default `None`:
    /// what the API names.
    pub repository: Option<Location>,
    /// `TOLLGATE_REPOSITORY_TOKEN` (or `TOLLGATE_REPOSITORY_TOKEN_FILE`): what opens the repository,
    /// `user:password` or a bearer token. Default `None`.
    pub token: Option<SecretString>,
    /// `TOLLGATE_ACCEL_PREFIX`: the path below which nginx has the files of the repository, with a
    /// slash at its end. Default `None`: archives are sent from here.
    pub accel_prefix: Option<String>,
}

/// Settings of HTTP.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `TOLLGATE_LISTEN`: IP address and port of HTTP; port 0 takes a free one. Default
    /// 127.0.0.1:8080.
    pub listen: SocketAddr,
    /// `TOLLGATE_OPS_LISTEN`: IP address and port of `/readyz` and `/healthz`. Default `None`:
    /// served at `listen`; also `None` when it is set to that address.
    pub ops_listen: Option<SocketAddr>,
    /// `TOLLGATE_TRUSTED_PROXIES`: networks whose `X-Forwarded-For` is believed, separated by
    /// commas; an address stands for itself. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// `TOLLGATE_CORS_ORIGINS`: origins whose pages browsers let call the API, separated by commas.
    /// Default none.
    pub cors_origins: Vec<String>,
    /// `TOLLGATE_CONSOLE`: serves the console, the pages for admins. Default on.
    pub console: bool,
    /// `TOLLGATE_PAYLOADS_FOR`: the least role that the console and the API show the payloads of events to.
    /// Default admin: they hold what providers know of customers.
    pub payloads_for: Role,
}

/// Settings of the store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `TOLLGATE_DATA_DIR`: folder of the embedded store and its key. Default `./tollgate-data`.
    pub data_dir: PathBuf,
    /// `DATABASE_URL` (or `DATABASE_URL_FILE`): `sqlite://…` or `postgres://…`. Default
    /// `tollgate.db` in the data folder.
    pub database: Database,
    /// `TOLLGATE_SECRET_KEY` (or `TOLLGATE_SECRET_KEY_FILE`): 32 bytes in base64 that encrypt the
    /// webhook secrets; several, separated by commas, while they are rotated: the first encrypts,
    /// all decrypt. Required with PostgreSQL. Default none: made once and kept in the data folder.
    pub secret_keys: Vec<SecretKey>,
    /// `TOLLGATE_PAYLOAD_RETENTION`: how long payloads of settled events are kept, at least an hour;
    /// `None` (`forever`) keeps all. Default 90 days. Payloads of failed and pending events stay,
    /// because they may be replayed.
    pub payload_retention: Option<Span>,
}

/// Settings of what others are told of changes.
#[derive(Debug, Clone)]
pub struct HookConfig {
    /// `TOLLGATE_PUBLISH_CHANGES`: the broker is told of every change, whether a queue is bound there or
    /// not. Default on. Off spares the rows and messages; hooks are told all the same.
    pub publish: bool,
    /// `TOLLGATE_HOOKS_PRIVATE`: hooks may go to private addresses, and by `http`. Default off: whoever
    /// may make a hook could reach what only this machine can.
    pub private: bool,
    /// `TOLLGATE_HOOKS_DISABLE_AFTER`: how long nothing can be delivered to a hook before it is
    /// disabled, at least an hour. Default 5 days.
    pub disable_after: Span,
    /// `TOLLGATE_CHANGE_RETENTION`: how long changes that hooks were told of are kept, to be sent
    /// again, at least an hour. Default 30 days. What is still to be delivered stays.
    pub change_retention: Span,
}

/// Settings of the queue between receiver and worker.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// `AMQP_URL` (or `AMQP_URL_FILE`): RabbitMQ, `amqp://…` or `amqps://…`. Default `None`: the
    /// built-in queue in the store.
    pub amqp_url: Option<SecretString>,
    /// `AMQP_CA_FILE`: path of a PEM file with the certificate authority of an `amqps` broker.
    /// Default `None`: the public authorities.
    pub amqp_ca_file: Option<PathBuf>,
    /// `TOLLGATE_AMQP_PREFIX`: prefix of the names of exchanges and queues. Default `tollgate`.
    pub amqp_prefix: String,
    /// `TOLLGATE_WORKER_BATCHES`: batches of events that a worker processes at once, from RabbitMQ into
    /// PostgreSQL, 1 to 8. Default 4. One with the embedded store, which has one writer, and with the
    /// built-in queue.
    pub worker_batches: usize,
}

/// Settings of administrators' access.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// `ADMIN_TOKEN` (or `ADMIN_TOKEN_FILE`): an owner's token for all apps, at least 24
    /// characters. Default `None`.
    pub token: Option<SecretString>,
}

/// Settings of the webhooks of all providers.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// `TOLLGATE_SIGNATURE_TOLERANCE`: greatest age of a signature, in whole seconds. Default 300:
    /// Paddle's own limit of five refuses honest deliveries, and since every event id counts only
    /// once, the age of a signature protects little.
    pub signature_tolerance: Duration,
    /// `TOLLGATE_ENDPOINT_SILENT_AFTER`: how long nothing comes to an endpoint before operators are told,
    /// at least an hour; `None` (`off`) never tells. Default 3 days: a quiet weekend is shorter, and what
    /// a provider could not deliver it still has.
    pub silent_after: Option<Span>,
}

/// Price or product id of the provider to the packages that it buys. A price with an empty list
/// is known and buys nothing.
pub type PriceMapping = BTreeMap<String, Vec<PackageGrant>>;

/// One provider, for the app `default`. In the names of the variables `X` is `STRIPE` or `PADDLE`.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// `X_WEBHOOK_SECRET` (or `X_WEBHOOK_SECRET_FILE`): secrets of the webhook endpoint, several
    /// separated by commas while they are rotated. Default none: the endpoint does not exist.
    /// No entry is ever empty.
    pub webhook_secrets: Vec<SecretString>,
    /// `X_PRICE_MAPPING`: JSON, price id to a list of packages, each a plain name or
    /// `{package, constraint}`. Default `None`.
    pub prices: Option<PriceMapping>,
    /// The packages in it with `"versions": "semver"`.
    pub semver_packages: BTreeSet<String>,
    /// `X_API_KEY` (or `X_API_KEY_FILE`): for reading objects back from the provider. Default
    /// `None`.
    pub api_key: Option<SecretString>,
    /// `TOLLGATE_X_API_BASE`: another base URL of the provider's API, for tests and sandboxes.
    /// Default `None`: the provider's own.
    pub api_base: Option<Url>,
}

/// Settings of the log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `TOLLGATE_LOG`: a tracing filter, known to parse. Default `info`.
    pub filter: String,
    /// `TOLLGATE_LOG_FORMAT`: `text` or `json`. Default `None`: text when standard error is a
    /// terminal, else JSON.
    pub format: Option<LogFormat>,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The sources of settings. Without `Debug`, because the environment contains secrets.
#[derive(Clone, Default)]
pub struct Source {
    /// The environment variables. A map, so that tests need not change those of the process.
    pub environment: BTreeMap<OsString, OsString>,
    /// The file of `--config`. Paths in it, as in the environment, are relative to the working
    /// folder.
    pub file: Option<PathBuf>,
}

impl Source {
    /// Returns the environment of this process, and a file.
    pub fn of_process(file: Option<PathBuf>) -> Self {
        Self {
            environment: std::env::vars_os().collect(),
            file,
        }
    }
}

/// Valid settings, and warnings about them.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Likely mistakes that do no harm.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Returns the settings of a provider, or `None` for one whose secrets and plans can only be set
    /// through the API.
    pub fn provider(&self, provider: Provider) -> Option<&ProviderConfig> {
        match provider.as_str() {
            "stripe" => Some(&self.stripe),
            "paddle" => Some(&self.paddle),
            _ => None,
        }
    }
}
