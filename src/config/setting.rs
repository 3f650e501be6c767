//! The list of settings, the only place that knows their names.

/// One setting, as users write it.
#[derive(Debug)]
pub(super) struct Setting {
    /// The environment variable. In the file it is the same in lower case.
    pub(super) name: &'static str,
    /// True for a secret: never printed, and readable from `NAME_FILE` too.
    pub(super) secret: bool,
    /// The TOML type that the file may use instead of a string.
    pub(super) shape: Shape,
    /// A description of a valid value, as the end of "expected …".
    pub(super) expected: &'static str,
}

/// The TOML type that the file may use instead of a string. A string is always accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A whole number.
    Scalar,
    /// `true` or `false`.
    Switch,
    /// A list of strings instead of commas.
    List,
    /// A table instead of JSON.
    Table,
}

impl Setting {
    const fn plain(name: &'static str, shape: Shape, expected: &'static str) -> Self {
        Self {
            name,
            secret: false,
            shape,
            expected,
        }
    }

    const fn secret(name: &'static str, shape: Shape, expected: &'static str) -> Self {
        Self {
            name,
            secret: true,
            shape,
            expected,
        }
    }

    /// Returns the variable that names a file with the value. Only secrets have one.
    pub(super) fn file_variable(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.name))
    }
}

const WEBHOOK_SECRETS: &str = "one secret, or several separated by commas";
const PRICES: &str =
    r#"JSON such as {"price_1": ["acme/app", {"package": "acme/lib", "constraint": "^2.0"}]}"#;
const API_KEY: &str = "the key as the provider shows it, without spaces";
const API_BASE: &str = "an http:// or https:// address without user, query and fragment";

pub(super) const LISTEN: Setting = Setting::plain(
    "TOLLGATE_LISTEN",
    Shape::Scalar,
    "an IP address and a port, such as 127.0.0.1:8080 or [::]:8080",
);
pub(super) const OPS_LISTEN: Setting = Setting::plain(
    "TOLLGATE_OPS_LISTEN",
    Shape::Scalar,
    "an IP address and a port, such as 127.0.0.1:9090",
);
pub(super) const TRUSTED_PROXIES: Setting = Setting::plain(
    "TOLLGATE_TRUSTED_PROXIES",
    Shape::List,
    "networks or addresses separated by commas, such as 10.0.0.0/8,::1",
);
pub(super) const CORS_ORIGINS: Setting = Setting::plain(
    "TOLLGATE_CORS_ORIGINS",
    Shape::List,
    "origins separated by commas, such as https://admin.example.com",
);
pub(super) const CONSOLE: Setting = Setting::plain("TOLLGATE_CONSOLE", Shape::Switch, "on or off");
pub(super) const PAYLOADS_FOR: Setting = Setting::plain(
    "TOLLGATE_PAYLOADS_FOR",
    Shape::Scalar,
    "viewer or admin, the least role that sees the payloads of events",
);
pub(super) const DATA_DIR: Setting =
    Setting::plain("TOLLGATE_DATA_DIR", Shape::Scalar, "the path of a folder");
pub(super) const DATABASE_URL: Setting = Setting::secret(
    "DATABASE_URL",
    Shape::Scalar,
    "sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME",
);
pub(super) const AMQP_URL: Setting = Setting::secret(
    "AMQP_URL",
    Shape::Scalar,
    "amqp://USER:PASSWORD@HOST/VHOST, or the same with amqps://",
);
pub(super) const AMQP_CA_FILE: Setting = Setting::plain(
    "AMQP_CA_FILE",
    Shape::Scalar,
    "the path of a PEM file with the broker's certificate authority",
);
pub(super) const AMQP_PREFIX: Setting = Setting::plain(
    "TOLLGATE_AMQP_PREFIX",
    Shape::Scalar,
    "1 to 100 letters, digits, dots, hyphens and underscores, not beginning with `amq.`",
);
pub(super) const WORKER_BATCHES: Setting = Setting::plain(
    "TOLLGATE_WORKER_BATCHES",
    Shape::Scalar,
    "a whole number from 1 to 8",
);
pub(super) const SECRET_KEY: Setting = Setting::secret(
    "TOLLGATE_SECRET_KEY",
    Shape::List,
    "32 bytes in base64, as `openssl rand -base64 32` prints them",
);
pub(super) const ADMIN_TOKEN: Setting = Setting::secret(
    "ADMIN_TOKEN",
    Shape::Scalar,
    "at least 24 printable ASCII characters without spaces",
);
pub(super) const STRIPE_WEBHOOK_SECRET: Setting =
    Setting::secret("STRIPE_WEBHOOK_SECRET", Shape::List, WEBHOOK_SECRETS);
pub(super) const PADDLE_WEBHOOK_SECRET: Setting =
    Setting::secret("PADDLE_WEBHOOK_SECRET", Shape::List, WEBHOOK_SECRETS);
pub(super) const STRIPE_PRICE_MAPPING: Setting =
    Setting::plain("STRIPE_PRICE_MAPPING", Shape::Table, PRICES);
pub(super) const PADDLE_PRICE_MAPPING: Setting =
    Setting::plain("PADDLE_PRICE_MAPPING", Shape::Table, PRICES);
pub(super) const CONNECTED_ACCOUNTS: Setting = Setting::plain(
    "TOLLGATE_CONNECTED_ACCOUNTS",
    Shape::List,
    "at most 1000 accounts separated by commas, such as acct_1Q2w3e4R5t6Y7u8I",
);
pub(super) const METADATA_KEY: Setting = Setting::plain(
    "TOLLGATE_IDENTITY_METADATA_KEY",
    Shape::Scalar,
    "a key of metadata of at most 255 bytes, such as user_id",
);
pub(super) const CLIENT_REFERENCE_ID: Setting = Setting::plain(
    "TOLLGATE_IDENTITY_CLIENT_REFERENCE_ID",
    Shape::Switch,
    "`on` or `off`",
);
pub(super) const STRIPE_API_KEY: Setting =
    Setting::secret("STRIPE_API_KEY", Shape::Scalar, API_KEY);
pub(super) const PADDLE_API_KEY: Setting =
    Setting::secret("PADDLE_API_KEY", Shape::Scalar, API_KEY);
pub(super) const STRIPE_API_BASE: Setting =
    Setting::plain("TOLLGATE_STRIPE_API_BASE", Shape::Scalar, API_BASE);
pub(super) const PADDLE_API_BASE: Setting =
    Setting::plain("TOLLGATE_PADDLE_API_BASE", Shape::Scalar, API_BASE);
pub(super) const SIGNATURE_TOLERANCE: Setting = Setting::plain(
    "TOLLGATE_SIGNATURE_TOLERANCE",
    Shape::Scalar,
    "whole seconds, at least 1",
);
pub(super) const PAYLOAD_RETENTION: Setting = Setting::plain(
    "TOLLGATE_PAYLOAD_RETENTION",
    Shape::Scalar,
    "a length of time of at least 1h, such as 90d, or `forever`",
);
pub(super) const PUBLISH_CHANGES: Setting =
    Setting::plain("TOLLGATE_PUBLISH_CHANGES", Shape::Switch, "on or off");
pub(super) const CHANGE_RETENTION: Setting = Setting::plain(
    "TOLLGATE_CHANGE_RETENTION",
    Shape::Scalar,
    "a length of time of at least 1h, such as 30d",
);
pub(super) const HOOKS_PRIVATE: Setting =
    Setting::plain("TOLLGATE_HOOKS_PRIVATE", Shape::Switch, "on or off");
pub(super) const HOOKS_DISABLE_AFTER: Setting = Setting::plain(
    "TOLLGATE_HOOKS_DISABLE_AFTER",
    Shape::Scalar,
    "a length of time of at least 1h, such as 5d",
);
pub(super) const ENDPOINT_SILENT_AFTER: Setting = Setting::plain(
    "TOLLGATE_ENDPOINT_SILENT_AFTER",
    Shape::Scalar,
    "a length of time of at least 1h, such as 3d, or `off`",
);
pub(super) const REPOSITORY: Setting = Setting::plain(
    "TOLLGATE_REPOSITORY",
    Shape::Scalar,
    "a folder, or an http:// or https:// address without user, query and fragment",
);
pub(super) const REPOSITORY_TOKEN: Setting = Setting::secret(
    "TOLLGATE_REPOSITORY_TOKEN",
    Shape::Scalar,
    "USER:PASSWORD, or a bearer token",
);
pub(super) const ACCEL_PREFIX: Setting = Setting::plain(
    "TOLLGATE_ACCEL_PREFIX",
    Shape::Scalar,
    "a path of nginx such as /repository/",
);
pub(super) const LOG: Setting = Setting::plain(
    "TOLLGATE_LOG",
    Shape::Scalar,
    "a tracing filter such as `info` or `warn,tollgate=debug`",
);
pub(super) const LOG_FORMAT: Setting =
    Setting::plain("TOLLGATE_LOG_FORMAT", Shape::Scalar, "`text` or `json`");

/// All settings, in the order in which they are shown.
pub(super) const ALL: [&Setting; 37] = [
    &LISTEN,
    &OPS_LISTEN,
    &TRUSTED_PROXIES,
    &CORS_ORIGINS,
    &CONSOLE,
    &PAYLOADS_FOR,
    &DATA_DIR,
    &DATABASE_URL,
    &AMQP_URL,
    &AMQP_CA_FILE,
    &AMQP_PREFIX,
    &WORKER_BATCHES,
    &SECRET_KEY,
    &ADMIN_TOKEN,
    &STRIPE_WEBHOOK_SECRET,
    &PADDLE_WEBHOOK_SECRET,
    &STRIPE_PRICE_MAPPING,
    &PADDLE_PRICE_MAPPING,
    &CONNECTED_ACCOUNTS,
    &METADATA_KEY,
    &CLIENT_REFERENCE_ID,
    &STRIPE_API_KEY,
    &PADDLE_API_KEY,
    &STRIPE_API_BASE,
    &PADDLE_API_BASE,
    &SIGNATURE_TOLERANCE,
    &PAYLOAD_RETENTION,
    &PUBLISH_CHANGES,
    &CHANGE_RETENTION,
    &HOOKS_PRIVATE,
    &HOOKS_DISABLE_AFTER,
    &ENDPOINT_SILENT_AFTER,
    &REPOSITORY,
    &REPOSITORY_TOKEN,
    &ACCEL_PREFIX,
    &LOG,
    &LOG_FORMAT,
];

/// Reports whether an environment variable is one of ours.
pub(super) fn is_known(variable: &str) -> bool {
    ALL.iter().any(|setting| {
        setting.name == variable || setting.file_variable().as_deref() == Some(variable)
    })
}

/// Returns the setting that a wrong name is so near to that nothing else can be meant.
pub(super) fn nearest(variable: &str) -> Option<String> {
    let names = ALL.iter().flat_map(|setting| {
        let name = Some(setting.name.to_owned());
        name.into_iter().chain(setting.file_variable())
    });
    let names: Vec<String> = names.collect();
    let ours = variable.strip_prefix("TOLLGATE_");
    if let Some(without) = ours.and_then(|rest| names.iter().find(|name| **name == rest)) {
        return Some(without.clone());
    }
    let measured = names
        .iter()
        .map(|name| (strsim::osa_distance(name, variable), name));
    // Two letters of one word; of a short name less is left to tell it by.
    let allowed = if variable.len() < 12 { 1 } else { 2 };
    let in_capitals = variable.to_ascii_uppercase();
    if is_known(&in_capitals) {
        return Some(in_capitals);
    }
    if let Some((_, name)) = measured.min().filter(|(distance, _)| *distance <= allowed) {
        return Some(name.clone());
    }
    // Such as `TOLLGATE_LOG_LEVEL`.
    let begins = |name: &&String| {
        let rest = variable.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.starts_with('_'))
    };
    ours?;
    names
        .iter()
        .filter(begins)
        .max_by_key(|name| name.len())
        .cloned()
}
