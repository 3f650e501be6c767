//! Loads the settings: reads each with its parser and default, and checks them together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::problem::{ConfigErrors, Origin, ProblemKind};
use super::reader::Reader;
use super::setting::{self, Setting};
use super::{
    AdminConfig, Config, Database, HookConfig, HttpConfig, Loaded, LogConfig, ProviderConfig,
    QueueConfig, RegistryConfig, Source, StoreConfig, WebhookConfig, log_filter, parse, prices,
};

use crate::composer::location::Location;
use crate::domain::id::Provider;
use crate::domain::identity::seller_id::Identity;
use crate::domain::pasted_secret;
use crate::domain::role::Role;
use crate::domain::span::Span;
use crate::domain::validate;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const DEFAULT_DATA_DIR: &str = "./tollgate-data";
const DEFAULT_AMQP_PREFIX: &str = "tollgate";
const DEFAULT_WORKER_BATCHES: usize = 4;
const DEFAULT_SIGNATURE_TOLERANCE: Duration = Duration::from_mins(5);
const DEFAULT_PAYLOAD_RETENTION: Span = Span::days(90);
const DEFAULT_CHANGE_RETENTION: Span = Span::days(30);
const DEFAULT_ENDPOINT_SILENT_AFTER: Span = Span::days(3);
const DEFAULT_HOOKS_DISABLE_AFTER: Span = Span::days(5);
const DEFAULT_LOG_FILTER: &str = "info";

/// The name of the embedded store in the data folder.
const DATABASE_FILE: &str = "tollgate.db";

impl Config {
    /// Reads all settings. Reads files, and nothing else outside `source`.
    ///
    /// # Errors
    ///
    /// Every problem at once; no text of an error holds the value of a secret.
    pub fn load(source: &Source) -> Result<Loaded, ConfigErrors> {
        let mut reader = Reader::open(source);
        let config = Self {
            http: HttpConfig::read(&mut reader),
            store: StoreConfig::read(&mut reader),
            queue: QueueConfig::read(&mut reader),
            admin: AdminConfig {
                token: reader.read(&setting::ADMIN_TOKEN, parse::admin_token),
            },
            webhooks: WebhookConfig {
                signature_tolerance: reader
                    .read(&setting::SIGNATURE_TOLERANCE, parse::seconds)
                    .unwrap_or(DEFAULT_SIGNATURE_TOLERANCE),
                silent_after: reader
                    .read(&setting::ENDPOINT_SILENT_AFTER, parse::silent_after)
                    .unwrap_or(Some(DEFAULT_ENDPOINT_SILENT_AFTER)),
            },
            stripe: ProviderConfig::read(&mut reader, &STRIPE),
            paddle: ProviderConfig::read(&mut reader, &PADDLE),
            connected_accounts: reader
                .read_all(&setting::CONNECTED_ACCOUNTS, parse::connected_accounts),
            identity: identity(&mut reader),
            registry: RegistryConfig {
                repository: reader.read(&setting::REPOSITORY, Location::parse),
                token: reader.read(&setting::REPOSITORY_TOKEN, parse::repository_token),
                accel_prefix: reader.read(&setting::ACCEL_PREFIX, parse::accel_prefix),
            },
            hooks: HookConfig {
                publish: reader
                    .read(&setting::PUBLISH_CHANGES, parse::on_or_off)
                    .unwrap_or(true),
                private: reader
                    .read(&setting::HOOKS_PRIVATE, parse::on_or_off)
                    .unwrap_or_default(),
                disable_after: reader
                    .read(&setting::HOOKS_DISABLE_AFTER, parse::hours)
                    .unwrap_or(DEFAULT_HOOKS_DISABLE_AFTER),
                change_retention: reader
                    .read(&setting::CHANGE_RETENTION, parse::hours)
                    .unwrap_or(DEFAULT_CHANGE_RETENTION),
            },
            log: LogConfig::read(&mut reader),
        };
        config.check_together(&mut reader);
        reader.finish(config)
    }

    /// Checks settings that are only wrong in combination.
    fn check_together(&self, reader: &mut Reader<'_>) {
        let on_a_server = matches!(self.store.database, Database::Postgres(_));
        if on_a_server
            && self.store.secret_keys.is_empty()
            && !reader.is_wrong(&setting::SECRET_KEY)
        {
            // Kept in a folder of one machine, the key would be missing on the next.
            let kind = ProblemKind::Missing("required with PostgreSQL");
            reader.problem(&setting::SECRET_KEY, Origin::Environment, kind);
        }
        if let Some(ops) = self.http.ops_listen
            && takes_port_of(self.http.listen, ops)
        {
            let listen = self.http.listen;
            let detail = format!(
                "port {} is taken by TOLLGATE_LISTEN={listen}; choose another port, or for each an \
                 address other than that of all",
                ops.port()
            );
            reader.contradicted(&setting::OPS_LISTEN, detail);
        }
        for package in read_in_two_ways(&self.stripe, &self.paddle) {
            let named = parse::quoted(package);
            let other = setting::STRIPE_PRICE_MAPPING.name;
            let detail = format!(
                "{named} is read in two ways, here and in {other}; say its \"versions\" wherever it \
                 is named"
            );
            reader.contradicted(&setting::PADDLE_PRICE_MAPPING, detail);
        }
        let registry = &self.registry;
        let is_named = registry.repository.is_some() || reader.is_wrong(&setting::REPOSITORY);
        let of_repository = [
            (&setting::REPOSITORY_TOKEN, registry.token.is_some()),
            (&setting::ACCEL_PREFIX, registry.accel_prefix.is_some()),
        ];
        for (setting, is_said) in of_repository {
            if is_said && !is_named {
                reader.warn(setting, "no effect without TOLLGATE_REPOSITORY");
            }
        }
        let encrypted = self
            .queue
            .amqp_url
            .as_ref()
            .is_some_and(|url| url.expose_secret().starts_with("amqps:"));
        let has_broker = self.queue.amqp_url.is_some() || reader.is_wrong(&setting::AMQP_URL);
        for setting in [&setting::AMQP_PREFIX, &setting::PUBLISH_CHANGES] {
            if reader.is_set(setting) && !has_broker {
                reader.warn(setting, "no effect without AMQP_URL");
            }
        }
        if reader.is_set(&setting::WORKER_BATCHES) && !(has_broker && on_a_server) {
            let detail = "no effect without PostgreSQL and AMQP_URL";
            reader.warn(&setting::WORKER_BATCHES, detail);
        }
        if reader.is_set(&setting::DATA_DIR) && on_a_server {
            let detail = if has_broker {
                "no effect with PostgreSQL"
            } else {
                "no effect with PostgreSQL, but for the file `lock` of the built-in queue"
            };
            reader.warn(&setting::DATA_DIR, detail);
        }
        if self.queue.amqp_ca_file.is_some() && !encrypted && !reader.is_wrong(&setting::AMQP_URL) {
            reader.warn(
                &setting::AMQP_CA_FILE,
                "no effect without an amqps:// AMQP_URL",
            );
        }
    }
}

/// Says whether the system refuses to listen on both addresses. `[::]` also takes what comes to addresses of
/// IPv4.
fn takes_port_of(one: SocketAddr, other: SocketAddr) -> bool {
    let takes = |all: SocketAddr, one: SocketAddr| {
        all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4())
    };
    one.port() == other.port() && one.port() != 0 && (takes(one, other) || takes(other, one))
}

impl HttpConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let listen = reader
            .read(&setting::LISTEN, parse::address)
            .unwrap_or(DEFAULT_LISTEN);
        Self {
            listen,
            // Two listeners on port 0 are two free ports, not one address.
            ops_listen: reader
                .read(&setting::OPS_LISTEN, parse::address)
                .filter(|ops| *ops != listen || ops.port() == 0),
            trusted_proxies: reader
                .read_all(&setting::TRUSTED_PROXIES, parse::networks)
                .unwrap_or_default(),
            cors_origins: reader
                .read_all(&setting::CORS_ORIGINS, parse::origins)
                .unwrap_or_default(),
            console: reader
                .read(&setting::CONSOLE, parse::on_or_off)
                .unwrap_or(true),
            payloads_for: reader
                .read(&setting::PAYLOADS_FOR, parse::payloads_for)
                .unwrap_or(Role::Admin),
        }
    }
}

impl StoreConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let data_dir = reader
            .read(&setting::DATA_DIR, |text| Ok(PathBuf::from(text)))
            .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
        Self {
            database: reader
                .read(&setting::DATABASE_URL, Database::parse)
                .unwrap_or_else(|| Database::Sqlite(data_dir.join(DATABASE_FILE))),
            data_dir,
            secret_keys: reader
                .read_all(&setting::SECRET_KEY, parse::secret_keys)
                .unwrap_or_default(),
            payload_retention: reader
                .read(&setting::PAYLOAD_RETENTION, parse::retention)
                .unwrap_or(Some(DEFAULT_PAYLOAD_RETENTION)),
        }
    }
}

impl QueueConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            amqp_url: reader.read(&setting::AMQP_URL, parse::broker_url),
            amqp_ca_file: reader.read(&setting::AMQP_CA_FILE, |text| Ok(PathBuf::from(text))),
            amqp_prefix: reader
                .read(&setting::AMQP_PREFIX, parse::amqp_prefix)
                .unwrap_or_else(|| DEFAULT_AMQP_PREFIX.to_owned()),
            worker_batches: reader
                .read(&setting::WORKER_BATCHES, parse::worker_batches)
                .unwrap_or(DEFAULT_WORKER_BATCHES),
        }
    }
}

/// The settings of one provider.
struct ProviderSettings {
    provider: Provider,
    webhook_secret: &'static Setting,
    price_mapping: &'static Setting,
    api_key: &'static Setting,
    api_base: &'static Setting,
}

const STRIPE: ProviderSettings = ProviderSettings {
    provider: Provider::named("stripe"),
    webhook_secret: &setting::STRIPE_WEBHOOK_SECRET,
    price_mapping: &setting::STRIPE_PRICE_MAPPING,
    api_key: &setting::STRIPE_API_KEY,
    api_base: &setting::STRIPE_API_BASE,
};

const PADDLE: ProviderSettings = ProviderSettings {
    provider: Provider::named("paddle"),
    webhook_secret: &setting::PADDLE_WEBHOOK_SECRET,
    price_mapping: &setting::PADDLE_PRICE_MAPPING,
    api_key: &setting::PADDLE_API_KEY,
    api_base: &setting::PADDLE_API_BASE,
};

impl ProviderConfig {
    fn read(reader: &mut Reader<'_>, settings: &ProviderSettings) -> Self {
        let provider = settings.provider;
        let parse_secrets = |text: &str| parse::webhook_secrets(provider, text);
        let webhook_secrets = reader
            .read_all(settings.webhook_secret, parse_secrets)
            .unwrap_or_default();
        warn_of_unusual(reader, settings, &webhook_secrets);
        let parse_key = |text: &str| parse::api_key(provider, text);
        let parse_prices = |text: &str| prices::price_mapping(provider, text);
        let prices = reader.read_all(settings.price_mapping, parse_prices);
        let (prices, semver_packages) = match prices {
            Some(prices) => (Some(prices.mapping), prices.semver),
            None => (None, BTreeSet::new()),
        };
        Self {
            webhook_secrets,
            prices,
            semver_packages,
            api_key: reader.read(settings.api_key, parse_key),
            api_base: reader.read(settings.api_base, parse::api_base),
        }
    }
}

/// The packages that two providers' prices buy, of which each reads the versions in another way.
fn read_in_two_ways<'a>(one: &'a ProviderConfig, other: &'a ProviderConfig) -> BTreeSet<&'a str> {
    fn named(config: &ProviderConfig) -> impl Iterator<Item = &str> {
        let grants = config.prices.iter().flat_map(BTreeMap::values).flatten();
        grants.map(|grant| grant.package.as_str())
    }
    let mut both: BTreeSet<&str> = named(one).collect();
    both = named(other).filter(|it| both.contains(it)).collect();
    let is_semver = |config: &ProviderConfig, it: &str| config.semver_packages.contains(it);
    both.retain(|it| is_semver(one, it) != is_semver(other, it));
    both
}

/// Warns of webhook secrets that do not begin as the provider's do. They may be right: of somebody
/// else who signs in the provider's way.
fn warn_of_unusual(reader: &mut Reader<'_>, settings: &ProviderSettings, secrets: &[SecretString]) {
    for (index, secret) in secrets.iter().enumerate() {
        let secret = secret.expose_secret();
        if let Some(usual) = pasted_secret::unusual_webhook_secret(settings.provider, secret) {
            let number = index + 1;
            let detail =
                format!("entry {number} does not begin with {usual}, as the provider's do");
            reader.warn(settings.webhook_secret, detail);
        }
    }
}

impl LogConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            filter: reader
                .read(&setting::LOG, log_filter::parse)
                .unwrap_or_else(|| DEFAULT_LOG_FILTER.to_owned()),
            format: reader.read(&setting::LOG_FORMAT, parse::log_format),
        }
    }
}

/// Reads where the seller's own ids are found; `None` if nothing is said about it.
fn identity(reader: &mut Reader<'_>) -> Option<Identity> {
    let metadata_key = reader.read(&setting::METADATA_KEY, validate::line);
    let client_reference_id = reader.read(&setting::CLIENT_REFERENCE_ID, parse::on_or_off);
    (metadata_key.is_some() || client_reference_id.is_some()).then(|| Identity {
        metadata_key,
        client_reference_id: client_reference_id.unwrap_or_default(),
    })
}
