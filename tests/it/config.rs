//! Settings: what is accepted, and what is said about what is not.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;
use tollgate::config::report::report;
use tollgate::config::{Config, ConfigErrors, Database, Loaded, LogFormat, ProblemKind, Source};
use tollgate::domain::access::plan::PackageGrant;

/// 32 zero bytes.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn environment<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Source {
    Source {
        environment: variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        file: None,
    }
}

fn load<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Loaded, ConfigErrors> {
    Config::load(&environment(variables))
}

/// What is printed about settings; paths of the test's own folder become `DIR`.
fn printed(source: &Source, dir: &Path) -> String {
    report(&Config::load(source)).replace(&dir.display().to_string(), "DIR")
}

/// The one line about a single variable that is wrong.
fn complaint(name: &str, value: &str) -> String {
    match load([(name, value)]) {
        Ok(_) => format!("{name}={value:?} was accepted"),
        Err(errors) => errors.to_string(),
    }
}

fn write(dir: &Path, name: &str, content: &str) -> io::Result<PathBuf> {
    let path = dir.join(name);
    fs::write(&path, content)?;
    Ok(path)
}

#[test]
fn nothing_set_gives_the_defaults() {
    insta::assert_snapshot!(report(&load([])), @r"
    TOLLGATE_LISTEN = 127.0.0.1:8080
    TOLLGATE_OPS_LISTEN = as TOLLGATE_LISTEN
    TOLLGATE_TRUSTED_PROXIES = none
    TOLLGATE_CORS_ORIGINS = none
    TOLLGATE_CONSOLE = on
    TOLLGATE_PAYLOADS_FOR = admin
    TOLLGATE_DATA_DIR = ./tollgate-data
    DATABASE_URL = sqlite://./tollgate-data/tollgate.db
    AMQP_URL = not set
    AMQP_CA_FILE = not set
    TOLLGATE_AMQP_PREFIX = tollgate
    TOLLGATE_WORKER_BATCHES = 4
    TOLLGATE_SECRET_KEY = not set
    ADMIN_TOKEN = not set
    STRIPE_WEBHOOK_SECRET = not set
    PADDLE_WEBHOOK_SECRET = not set
    STRIPE_PRICE_MAPPING = not set
    PADDLE_PRICE_MAPPING = not set
    TOLLGATE_CONNECTED_ACCOUNTS = not set
    TOLLGATE_IDENTITY_METADATA_KEY = not set
    TOLLGATE_IDENTITY_CLIENT_REFERENCE_ID = not set
    STRIPE_API_KEY = not set
    PADDLE_API_KEY = not set
    TOLLGATE_STRIPE_API_BASE = the provider's own
    TOLLGATE_PADDLE_API_BASE = the provider's own
    TOLLGATE_SIGNATURE_TOLERANCE = 300 s
    TOLLGATE_PAYLOAD_RETENTION = 90d
    TOLLGATE_PUBLISH_CHANGES = on
    TOLLGATE_CHANGE_RETENTION = 30d
    TOLLGATE_HOOKS_PRIVATE = off
    TOLLGATE_HOOKS_DISABLE_AFTER = 5d
    TOLLGATE_ENDPOINT_SILENT_AFTER = 3d
    TOLLGATE_REPOSITORY = not set
    TOLLGATE_REPOSITORY_TOKEN = not set
    TOLLGATE_ACCEL_PREFIX = not set
    TOLLGATE_LOG = info
    TOLLGATE_LOG_FORMAT = text on a terminal, else json
    ");
}

/// Every setting, none of them as it is by itself.
const EVERYTHING: &[(&str, &str)] = &[
    ("TOLLGATE_LISTEN", "0.0.0.0:80"),
    ("TOLLGATE_OPS_LISTEN", "[::1]:9090"),
    ("TOLLGATE_TRUSTED_PROXIES", "10.1.2.3/8, ::1"),
    (
        "TOLLGATE_CORS_ORIGINS",
        "https://Admin.example.com:443/, http://localhost:3000",
    ),
    ("TOLLGATE_CONSOLE", "off"),
    ("TOLLGATE_PAYLOADS_FOR", "viewer"),
    ("TOLLGATE_DATA_DIR", "/var/lib/tollgate"),
    ("DATABASE_URL", "sqlite:///srv/store.db?mode=rwc"),
    ("AMQP_CA_FILE", "/etc/broker.pem"),
    ("TOLLGATE_AMQP_PREFIX", "shop.test"),
    ("TOLLGATE_WORKER_BATCHES", "2"),
    ("TOLLGATE_SECRET_KEY", KEY),
    ("ADMIN_TOKEN", "hush-admin-0123456789-0123456789"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_hush_1, whsec_hush_2"),
    ("PADDLE_WEBHOOK_SECRET", "pdl_ntfset_hush"),
    (
        "STRIPE_PRICE_MAPPING",
        r#"{"price_1": ["acme/app", "acme/lib"]}"#,
    ),
    ("PADDLE_PRICE_MAPPING", r#"{"pri_1": [], "pri_2": ["a/b"]}"#),
    ("TOLLGATE_CONNECTED_ACCOUNTS", "acct_2, acct_1"),
    ("TOLLGATE_IDENTITY_METADATA_KEY", "user_id"),
    ("TOLLGATE_IDENTITY_CLIENT_REFERENCE_ID", "on"),
    ("STRIPE_API_KEY", "sk_hush"),
    ("PADDLE_API_KEY", "pdl_hush"),
    ("TOLLGATE_STRIPE_API_BASE", "http://127.0.0.1:1234/"),
    ("TOLLGATE_PADDLE_API_BASE", "https://sandbox.example/v1"),
    ("TOLLGATE_SIGNATURE_TOLERANCE", "5"),
    ("TOLLGATE_PAYLOAD_RETENTION", "forever"),
    ("TOLLGATE_PUBLISH_CHANGES", "off"),
    ("TOLLGATE_CHANGE_RETENTION", "7d"),
    ("TOLLGATE_HOOKS_PRIVATE", "on"),
    ("TOLLGATE_HOOKS_DISABLE_AFTER", "36h"),
    ("TOLLGATE_ENDPOINT_SILENT_AFTER", "off"),
    ("TOLLGATE_REPOSITORY", "https://repo.example/composer"),
    ("TOLLGATE_REPOSITORY_TOKEN", "user:hush"),
    ("TOLLGATE_ACCEL_PREFIX", "/files"),
    ("TOLLGATE_LOG", "warn,tollgate=debug"),
    ("TOLLGATE_LOG_FORMAT", "json"),
    ("TOLLGATE_SERVICE_HOST", "10.0.0.1"),
    ("PATH", "/bin"),
];

#[test]
fn everything_set_is_shown_without_its_secrets() {
    let loaded = load(EVERYTHING.iter().copied());
    insta::assert_snapshot!(report(&loaded), @r"
    warning: TOLLGATE_SERVICE_HOST: no such setting; ignored
    warning: TOLLGATE_AMQP_PREFIX: no effect without AMQP_URL
    warning: TOLLGATE_PUBLISH_CHANGES: no effect without AMQP_URL
    warning: TOLLGATE_WORKER_BATCHES: no effect without PostgreSQL and AMQP_URL
    warning: AMQP_CA_FILE: no effect without an amqps:// AMQP_URL
    TOLLGATE_LISTEN = 0.0.0.0:80
    TOLLGATE_OPS_LISTEN = [::1]:9090
    TOLLGATE_TRUSTED_PROXIES = 10.0.0.0/8,::1/128
    TOLLGATE_CORS_ORIGINS = https://admin.example.com,http://localhost:3000
    TOLLGATE_CONSOLE = off
    TOLLGATE_PAYLOADS_FOR = viewer
    TOLLGATE_DATA_DIR = /var/lib/tollgate
    DATABASE_URL = sqlite:///srv/store.db
    AMQP_URL = not set
    AMQP_CA_FILE = /etc/broker.pem
    TOLLGATE_AMQP_PREFIX = shop.test
    TOLLGATE_WORKER_BATCHES = 2
    TOLLGATE_SECRET_KEY = set
    ADMIN_TOKEN = set
    STRIPE_WEBHOOK_SECRET = set (2)
    PADDLE_WEBHOOK_SECRET = set (1)
    STRIPE_PRICE_MAPPING = set (prices: 1, packages: 2)
    PADDLE_PRICE_MAPPING = set (prices: 2, packages: 1)
    TOLLGATE_CONNECTED_ACCOUNTS = acct_1,acct_2
    TOLLGATE_IDENTITY_METADATA_KEY = user_id
    TOLLGATE_IDENTITY_CLIENT_REFERENCE_ID = on
    STRIPE_API_KEY = set
    PADDLE_API_KEY = set
    TOLLGATE_STRIPE_API_BASE = http://127.0.0.1:1234/
    TOLLGATE_PADDLE_API_BASE = https://sandbox.example/v1
    TOLLGATE_SIGNATURE_TOLERANCE = 5 s
    TOLLGATE_PAYLOAD_RETENTION = forever
    TOLLGATE_PUBLISH_CHANGES = off
    TOLLGATE_CHANGE_RETENTION = 7d
    TOLLGATE_HOOKS_PRIVATE = on
    TOLLGATE_HOOKS_DISABLE_AFTER = 36h
    TOLLGATE_ENDPOINT_SILENT_AFTER = off
    TOLLGATE_REPOSITORY = https://repo.example/composer/
    TOLLGATE_REPOSITORY_TOKEN = set
    TOLLGATE_ACCEL_PREFIX = /files/
    TOLLGATE_LOG = warn,tollgate=debug
    TOLLGATE_LOG_FORMAT = json
    ");
    let loaded = loaded.unwrap();
    let debug = format!("{loaded:?}");
    assert!(!debug.contains("hush"), "a secret in {debug}");
    assert!(!debug.contains("0, 0, 0"), "the key in {debug}");

    let config = loaded.config;
    let secrets: Vec<&str> = config
        .stripe
        .webhook_secrets
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(secrets, ["whsec_hush_1", "whsec_hush_2"]);
    assert_eq!(
        config.store.secret_keys[0].expose(),
        &std::array::from_fn(|index| u8::try_from(index).unwrap())
    );
    assert_eq!(config.webhooks.signature_tolerance, Duration::from_secs(5));
    assert_eq!(config.store.payload_retention, None);
    assert_eq!(config.log.format, Some(LogFormat::Json));
    assert!(
        matches!(&config.store.database, Database::Sqlite(path) if path == Path::new("/srv/store.db"))
    );
}

#[test]
fn every_problem_is_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = environment([
        ("TOLLGATE_LISTEN", "localhost"),
        ("TOLLGATE_TRUSTED_PROXIES", "10.0.0.0/8,proxy,10.0.0.0/99"),
        (
            "TOLLGATE_CORS_ORIGINS",
            "*,https://a.example/path,https://b.example",
        ),
        ("TOLLGATE_CONSOLE", "maybe"),
        ("TOLLGATE_PAYLOADS_FOR", "owner"),
        ("DATABASE_URL", "postgres://u:hush@db/tollgate"),
        ("AMQP_URL", "amqp://u:hush@broker/%2f"),
        ("ADMIN_TOKEN", "hush"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_hush,,"),
        ("STRIPE_PRICE_MAPPING", r#"{"price_1": ["Acme/App", 7]}"#),
        ("TOLLGATE_CONNECTED_ACCOUNTS", "acct_1,ACCT_2,cus_3"),
        ("TOLLGATE_IDENTITY_CLIENT_REFERENCE_ID", "sometimes"),
        ("STRIPE_API_KEY_FILE", "/nonexistent/key"),
        ("TOLLGATE_SIGNATURE_TOLERANCE", "0"),
        ("TOLLGATE_LOG", "info,tollgate=loud"),
        ("TOLLGATE_LOG_FORMAT", "xml"),
        ("TOLLGATE_PORT", "tcp://10.0.0.1:80"),
    ]);
    source.environment.insert(
        "PADDLE_API_KEY".into(),
        OsString::from_vec(b"hush\xff".into()),
    );
    source.file = Some(
        write(
            dir.path(),
            "tollgate.toml",
            "tollgate_listn = 1\nTOLLGATE_LISTEN = \"127.0.0.1:1\"\ntollgate_data_dir = true\nlog = 1\n",
        )
        .unwrap(),
    );
    insta::assert_snapshot!(printed(&source, dir.path()), @r#"
    problem: TOLLGATE_LISTEN in DIR/tollgate.toml: unknown key (did you mean tollgate_listen?); expected the name of a setting in lower case, such as tollgate_listen
    problem: log in DIR/tollgate.toml: unknown key (did you mean tollgate_log?); expected the name of a setting in lower case, such as tollgate_listen
    problem: tollgate_listn in DIR/tollgate.toml: unknown key (did you mean tollgate_listen?); expected the name of a setting in lower case, such as tollgate_listen
    problem: TOLLGATE_LISTEN: malformed: "localhost" is not an IP address and a port; expected an IP address and a port, such as 127.0.0.1:8080 or [::]:8080
    problem: TOLLGATE_TRUSTED_PROXIES: malformed: "proxy" is not a network; expected networks or addresses separated by commas, such as 10.0.0.0/8,::1
    problem: TOLLGATE_TRUSTED_PROXIES: malformed: "10.0.0.0/99" is not a network; expected networks or addresses separated by commas, such as 10.0.0.0/8,::1
    problem: TOLLGATE_CORS_ORIGINS: malformed: "*" is not an origin; expected origins separated by commas, such as https://admin.example.com
    problem: TOLLGATE_CORS_ORIGINS: malformed: "https://a.example/path" is not an origin; expected origins separated by commas, such as https://admin.example.com
    problem: TOLLGATE_CONSOLE: malformed: "maybe" is neither; expected on or off
    problem: TOLLGATE_PAYLOADS_FOR: malformed: "owner" is neither of them; expected viewer or admin, the least role that sees the payloads of events
    problem: TOLLGATE_DATA_DIR in DIR/tollgate.toml: malformed: of type boolean; expected the path of a folder
    problem: ADMIN_TOKEN: malformed: 4 characters long; expected at least 24 printable ASCII characters without spaces
    problem: TOLLGATE_SIGNATURE_TOLERANCE: malformed: 0 would refuse every delivery; expected whole seconds, at least 1
    problem: STRIPE_WEBHOOK_SECRET: malformed: entry 2 is empty; expected one secret, or several separated by commas
    problem: STRIPE_WEBHOOK_SECRET: malformed: entry 3 is empty; expected one secret, or several separated by commas
    problem: STRIPE_PRICE_MAPPING: malformed: "price_1", package 1: "Acme/App" must be of the form vendor/package in lower case; expected JSON such as {"price_1": ["acme/app", {"package": "acme/lib", "constraint": "^2.0"}]}
    problem: STRIPE_PRICE_MAPPING: malformed: "price_1", package 2: neither a name nor an object; expected JSON such as {"price_1": ["acme/app", {"package": "acme/lib", "constraint": "^2.0"}]}
    problem: STRIPE_API_KEY from /nonexistent/key: unreadable file: No such file or directory (os error 2); expected the key as the provider shows it, without spaces
    problem: PADDLE_API_KEY: not Unicode text; expected the key as the provider shows it, without spaces
    problem: TOLLGATE_CONNECTED_ACCOUNTS: malformed: "ACCT_2" is not a connected account; expected at most 1000 accounts separated by commas, such as acct_1Q2w3e4R5t6Y7u8I
    problem: TOLLGATE_CONNECTED_ACCOUNTS: malformed: "cus_3" is not a connected account; expected at most 1000 accounts separated by commas, such as acct_1Q2w3e4R5t6Y7u8I
    problem: TOLLGATE_IDENTITY_CLIENT_REFERENCE_ID: malformed: "sometimes" is neither; expected `on` or `off`
    problem: TOLLGATE_LOG: malformed: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5; expected a tracing filter such as `info` or `warn,tollgate=debug`
    problem: TOLLGATE_LOG_FORMAT: malformed: "xml" is no log format; expected `text` or `json`
    problem: TOLLGATE_SECRET_KEY: missing: required with PostgreSQL; expected 32 bytes in base64, as `openssl rand -base64 32` prints them
    warning: TOLLGATE_PORT: no such setting; ignored
    warning: TOLLGATE_DATA_DIR: no effect with PostgreSQL
    "#);
}

#[test]
fn no_value_of_a_secret_setting_is_repeated_in_an_error() {
    let wrong = [
        ("DATABASE_URL", "hush://user:hush@db/name?hush"),
        ("DATABASE_URL", "postgres://user:hush@db:hush/name"),
        ("DATABASE_URL", "sqlite://hush?hush"),
        ("AMQP_URL", "http://user:hush@broker/"),
        ("AMQP_URL", "amqp://user:hush@[hush/"),
        ("AMQP_URL", "hush"),
        ("TOLLGATE_SECRET_KEY", "hush"),
        ("TOLLGATE_SECRET_KEY", "hush hush"),
        ("ADMIN_TOKEN", "hush"),
        ("ADMIN_TOKEN", "hush hush hush hush hush hush hush"),
        ("STRIPE_WEBHOOK_SECRET", "hush,"),
        ("PADDLE_WEBHOOK_SECRET", "hush hush"),
        ("STRIPE_API_KEY", "hush hush"),
        ("TOLLGATE_PADDLE_API_BASE", "https://user:hush@host/"),
    ];
    for (name, value) in wrong {
        let errors = load([(name, value)]).map(|_| ()).expect_err(value);
        let told = format!("{errors} {errors:?}");
        assert!(!told.contains("hush"), "{name}={value}: {told}");
        assert!(told.contains(name), "{name}={value}: {told}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_reason() {
    let cases = [
        (
            "TOLLGATE_LISTEN",
            ":8080",
            "is not an IP address and a port",
        ),
        ("TOLLGATE_LISTEN", "  ", "empty"),
        ("TOLLGATE_OPS_LISTEN", "127.0.0.1", "is not an IP address"),
        ("TOLLGATE_DATA_DIR", "", "empty"),
        ("DATABASE_URL", "mysql://db", "neither a sqlite://"),
        ("DATABASE_URL", "sqlite://", "no path"),
        (
            "DATABASE_URL",
            "sqlite::memory:",
            "loses what was acknowledged",
        ),
        ("DATABASE_URL", "sqlite://a.db?mode=ro", "not understood"),
        ("AMQP_URL", "http://broker", "neither amqp://"),
        ("AMQP_URL", "amqp:///vhost", "no host"),
        ("TOLLGATE_AMQP_PREFIX", "amq.x", "belong to the broker"),
        ("TOLLGATE_AMQP_PREFIX", "a b", "has other characters"),
        ("TOLLGATE_SECRET_KEY", "not base64!", "not base64"),
        ("TOLLGATE_SECRET_KEY", "AAAA", "3 bytes long"),
        ("ADMIN_TOKEN", "0123456789012345678901é", "HTTP header"),
        (
            "ADMIN_TOKEN",
            "01234567890123456789012",
            "23 characters long",
        ),
        ("STRIPE_WEBHOOK_SECRET", "", "empty"),
        ("STRIPE_WEBHOOK_SECRET", "\t\n", "empty"),
        ("STRIPE_WEBHOOK_SECRET", "a,", "entry 2 is empty"),
        ("PADDLE_WEBHOOK_SECRET", "a, ,b", "entry 2 is empty"),
        ("PADDLE_WEBHOOK_SECRET", "a\nb", "entry 1 has white space"),
        ("STRIPE_API_KEY", "", "empty"),
        ("TOLLGATE_STRIPE_API_BASE", "stripe.example", "not a URL"),
        (
            "TOLLGATE_STRIPE_API_BASE",
            "ftp://stripe.example",
            "neither",
        ),
        ("TOLLGATE_STRIPE_API_BASE", "https://h/?a=b", "has a query"),
        (
            "TOLLGATE_REPOSITORY",
            "ftp://repo.example/",
            "neither http:// nor https://",
        ),
        (
            "TOLLGATE_REPOSITORY",
            "https://user:pw@repo.example/",
            "belong in the token",
        ),
        (
            "TOLLGATE_ACCEL_PREFIX",
            "files",
            "does not begin with a slash",
        ),
        ("TOLLGATE_ACCEL_PREFIX", "/a/../b", "not a plain path"),
        ("TOLLGATE_WORKER_BATCHES", "0", "not from 1 to 8"),
        ("TOLLGATE_WORKER_BATCHES", "9", "not from 1 to 8"),
        ("TOLLGATE_WORKER_BATCHES", "two", "not a whole number"),
        ("TOLLGATE_SIGNATURE_TOLERANCE", "0", "refuse every delivery"),
        (
            "TOLLGATE_SIGNATURE_TOLERANCE",
            "-1",
            "not a number of seconds",
        ),
        (
            "TOLLGATE_SIGNATURE_TOLERANCE",
            "5m",
            "not a number of seconds",
        ),
        ("TOLLGATE_PAYLOAD_RETENTION", "0", "could mean"),
        ("TOLLGATE_PAYLOAD_RETENTION", "never", "could mean"),
        ("TOLLGATE_PAYLOAD_RETENTION", "off", "could mean"),
        ("TOLLGATE_PAYLOAD_RETENTION", "0d", "too short"),
        ("TOLLGATE_PAYLOAD_RETENTION", "59m", "too short"),
        ("TOLLGATE_PAYLOAD_RETENTION", "90", "not a length of time"),
        ("TOLLGATE_PAYLOAD_RETENTION", "-1d", "not a length of time"),
        (
            "TOLLGATE_PAYLOAD_RETENTION",
            "9999999d",
            "not a length of time",
        ),
        ("TOLLGATE_CHANGE_RETENTION", "59m", "less than an hour"),
        ("TOLLGATE_CHANGE_RETENTION", "soon", "not a length of time"),
        ("TOLLGATE_PUBLISH_CHANGES", "maybe", "neither"),
        ("TOLLGATE_HOOKS_PRIVATE", "maybe", "neither"),
        ("TOLLGATE_HOOKS_DISABLE_AFTER", "0s", "less than an hour"),
        ("TOLLGATE_LOG", "tollgate=loud", "malformed"),
        ("TOLLGATE_LOG_FORMAT", "JSON", "is no log format"),
    ];
    for (name, value, reason) in cases {
        let told = complaint(name, value);
        assert!(
            told.starts_with(&format!("{name}: malformed: ")) && told.contains(reason),
            "{name}={value:?} should say {reason:?}: {told}"
        );
        assert_eq!(told.lines().count(), 1, "{name}={value:?}: {told}");
    }
}

#[test]
fn an_endpoint_may_be_silent_for_an_hour_at_least() {
    let name = "TOLLGATE_ENDPOINT_SILENT_AFTER";
    for (value, reason) in [
        ("59m", "less than an hour"),
        ("never", "not a length of time"),
    ] {
        let told = complaint(name, value);
        assert!(
            told.contains(reason),
            "{value} should say {reason:?}: {told}"
        );
    }
}

#[test]
fn a_wrong_price_mapping_is_refused_with_the_place_of_the_fault() {
    let cases = [
        ("{", "not JSON at line 1, column 1"),
        ("[]", "not an object of price ids"),
        (
            r#""price_1""#,
            "has quotation marks around it: leave them out",
        ),
        ("true", "not an object of price ids"),
        (r#"{"": []}"#, r#""" is no price id"#),
        (r#"{"a b": []}"#, r#""a b" is no price id"#),
        (r#"{"p": "acme/app"}"#, r#""p" is not a list of packages"#),
        (r#"{"p": [], "p": []}"#, r#""p" is there twice"#),
        (r#"{"p": [7]}"#, r#""p", package 1: neither a name nor"#),
        (r#"{"p": [{}]}"#, "`package` is not a string"),
        (
            r#"{"p": [{"package": "a/b", "constraint": 1}]}"#,
            "`constraint` is not a string",
        ),
        (
            r#"{"p": [{"package": "a/b", "version": "1"}]}"#,
            r#"unknown field "version""#,
        ),
        (
            r#"{"p": ["a/b", {"package": "a/b", "constraint": "nonsense!"}]}"#,
            r#""p", package 2: constraint "nonsense!""#,
        ),
    ];
    for (value, reason) in cases {
        let told = complaint("STRIPE_PRICE_MAPPING", value);
        assert!(
            told.starts_with("STRIPE_PRICE_MAPPING: malformed: ") && told.contains(reason),
            "{value} should say {reason}: {told}"
        );
    }
}

#[test]
fn package_names_follow_the_rule_of_composer() {
    let accepted = |name: &str| {
        let mapping = serde_json::json!({ "p": [name] }).to_string();
        load([("PADDLE_PRICE_MAPPING", mapping.as_str())]).is_ok()
    };
    for name in ["a/b", "acme-1/app.core_2", "9/9", "acme/app--x"] {
        assert!(accepted(name), "{name} should be accepted");
    }
    for name in [
        "",
        "acme",
        "/",
        "acme/",
        "/app",
        "Acme/app",
        "acme/App",
        "acme/app/x",
        "acme /app",
        "acme/-app",
        "acme/app-",
        "acme/a---b",
        "ac--me/app",
        "acme/a._b",
        "acme/é",
        "acme/*",
    ] {
        assert!(!accepted(name), "{name:?} should be refused");
    }
}

#[test]
fn a_plain_package_means_every_version() {
    let mapping = r#"{"price_1": ["acme/app", {"package": "acme/lib", "constraint": "^2.0 || 3.*"},
        {"package": "acme/more"}]}"#;
    let config = load([("STRIPE_PRICE_MAPPING", mapping)]).unwrap().config;
    let grant = |package: &str, constraint: &str| PackageGrant {
        package: package.to_owned(),
        constraint: constraint.to_owned(),
    };
    assert_eq!(
        config.stripe.prices.unwrap()["price_1"],
        [
            grant("acme/app", "*"),
            grant("acme/lib", "^2.0 || 3.*"),
            grant("acme/more", "*"),
        ]
    );
    assert_eq!(config.paddle.prices, None);
}

#[test]
fn the_packages_of_a_mapping_may_be_read_by_semver() {
    let mapping = r#"{"price_1": ["acme/app",
        {"package": "@acme/ui", "constraint": ">=1.2, <1.9", "versions": "semver"},
        {"package": "acme/lib", "versions": "composer"}],
        "price_2": [{"package": "@acme/ui", "versions": "semver"}]}"#;
    let config = load([("STRIPE_PRICE_MAPPING", mapping)]).unwrap().config;
    let semver: Vec<&String> = config.stripe.semver_packages.iter().collect();
    assert_eq!(semver, ["@acme/ui"]);
    assert_eq!(config.stripe.prices.unwrap()["price_1"].len(), 3);
    assert!(config.paddle.semver_packages.is_empty());

    for (entry, part) in [
        (r#""left-pad""#, "or be declared with `versions: semver`"),
        (
            r#"{"package": "left-pad", "versions": "npm"}"#,
            "`versions`",
        ),
        (
            r#"{"package": "Left-Pad", "versions": "semver"}"#,
            "lower case",
        ),
        (
            r#"{"package": "left-pad", "constraint": "^1 || ^2", "versions": "semver"}"#,
            "alternatives",
        ),
        (
            r#"{"package": "acme/a", "versions": "semver"}, "acme/a""#,
            "in two ways",
        ),
    ] {
        let mapping = format!(r#"{{"price_1": [{entry}]}}"#);
        let said = complaint("STRIPE_PRICE_MAPPING", &mapping);
        assert!(said.contains(part), "{entry}: {said}");
    }
}

#[test]
fn two_mappings_read_a_package_in_one_way() {
    let semver = r#"{"one": [{"package": "acme/a", "versions": "semver"}, "acme/b"]}"#;
    for (stripe, paddle, is_fine) in [
        (semver, r#"{"one": ["acme/a"]}"#, false),
        (r#"{"one": ["acme/a"]}"#, semver, false),
        (semver, semver, true),
        (semver, r#"{"one": ["acme/b", "acme/c"]}"#, true),
    ] {
        let loaded = load([
            ("STRIPE_PRICE_MAPPING", stripe),
            ("PADDLE_PRICE_MAPPING", paddle),
        ]);
        let Err(errors) = loaded else {
            assert!(is_fine, "{stripe} {paddle}");
            continue;
        };
        let said = errors.to_string();
        assert!(!is_fine, "{said}");
        for part in [
            "PADDLE_PRICE_MAPPING: ",
            "STRIPE_PRICE_MAPPING",
            r#""acme/a" is read in two ways"#,
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("acme/b"), "{said}");
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let secret = write(dir.path(), "secret", "from_secret_file\n").unwrap();
    let file = format!(
        r#"
        tollgate_listen = "127.0.0.1:1"
        tollgate_signature_tolerance = 60
        tollgate_payload_retention = "36h"
        tollgate_trusted_proxies = ["10.0.0.0/8", "192.0.2.1"]
        stripe_webhook_secret = ["a", "b"]
        paddle_webhook_secret_file = "{}"
        [stripe_price_mapping]
        price_1 = ["acme/app", {{ package = "acme/lib", constraint = "^1.0" }}]
        "#,
        secret.display()
    );
    let mut source = environment([
        ("TOLLGATE_LISTEN", "127.0.0.1:2"),
        ("STRIPE_WEBHOOK_SECRET", "c"),
    ]);
    source.file = Some(write(dir.path(), "tollgate.toml", &file).unwrap());
    let config = Config::load(&source).unwrap().config;

    assert_eq!(config.http.listen.port(), 2);
    assert_eq!(config.webhooks.signature_tolerance, Duration::from_mins(1));
    let kept = config.store.payload_retention.unwrap();
    assert_eq!(kept.duration(), Duration::from_hours(36));
    assert_eq!(config.http.trusted_proxies.len(), 2);
    assert_eq!(config.stripe.webhook_secrets.len(), 1);
    assert_eq!(config.stripe.webhook_secrets[0].expose_secret(), "c");
    assert_eq!(
        config.paddle.webhook_secrets[0].expose_secret(),
        "from_secret_file"
    );
    assert_eq!(config.stripe.prices.unwrap()["price_1"].len(), 2);
}

#[test]
fn a_file_that_is_no_toml_is_refused_without_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path(),
        "tollgate.toml",
        "tollgate_log = \"info\"\nadmin_token = hush\n",
    )
    .unwrap();
    let source = Source {
        file: Some(path),
        ..environment([("TOLLGATE_LISTEN", "x")])
    };
    insta::assert_snapshot!(printed(&source, dir.path()), @r#"
    problem: --config in DIR/tollgate.toml: malformed: not TOML at line 2, column 15; expected the path of a TOML file
    problem: TOLLGATE_LISTEN: malformed: "x" is not an IP address and a port; expected an IP address and a port, such as 127.0.0.1:8080 or [::]:8080
    "#);
}

#[test]
fn a_missing_file_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source {
        file: Some(dir.path().join("absent.toml")),
        ..Source::default()
    };
    let errors = Config::load(&source).unwrap_err();
    assert!(matches!(
        &errors.problems[..],
        [problem] if problem.variable == "--config" && matches!(problem.kind, ProblemKind::Unreadable(_))
    ));
}

#[test]
fn a_secret_comes_from_its_variable_or_its_file_but_not_from_both() {
    let dir = tempfile::tempdir().unwrap();
    let token = "0123456789-0123456789-0123456789";
    let path = write(dir.path(), "token", &format!("  {token}\r\n")).unwrap();
    let path = path.display().to_string();

    let config = load([("ADMIN_TOKEN_FILE", path.as_str())]).unwrap().config;
    assert_eq!(config.admin.token.unwrap().expose_secret(), token);

    let both = load([("ADMIN_TOKEN_FILE", path.as_str()), ("ADMIN_TOKEN", token)]).unwrap_err();
    assert!(
        matches!(both.problems[..], [ref problem] if matches!(problem.kind, ProblemKind::SetTwice))
    );

    // A mark that Windows' editors put before a text is not part of it.
    let marked = write(dir.path(), "marked", &format!("\u{feff}{token}\r\n")).unwrap();
    let marked = marked.display().to_string();
    let config = load([("ADMIN_TOKEN_FILE", marked.as_str())]).unwrap();
    assert_eq!(config.config.admin.token.unwrap().expose_secret(), token);

    let told = complaint("ADMIN_TOKEN_FILE", "");
    assert!(told.contains("ADMIN_TOKEN_FILE is empty"), "{told}");

    let empty = write(dir.path(), "empty", "\n").unwrap();
    let not_unicode = dir.path().join("not-unicode");
    fs::write(&not_unicode, b"\xff").unwrap();
    let wrong = [
        (empty, "malformed: empty"),
        (not_unicode, "not Unicode text"),
        (dir.path().join("absent"), "unreadable file"),
    ];
    for (path, reason) in wrong {
        let told = complaint("STRIPE_WEBHOOK_SECRET_FILE", &path.display().to_string());
        let start = format!("STRIPE_WEBHOOK_SECRET from {}: {reason}", path.display());
        assert!(told.starts_with(&start), "{told}");
    }
}

#[test]
fn a_switch_may_be_said_in_other_words() {
    let dir = tempfile::tempdir().unwrap();
    for (text, toml, on) in [
        ("on", "\"on\"", true),
        ("TRUE", "true", true),
        ("Yes", "\"yes\"", true),
        ("1", "1", true),
        ("off", "\"off\"", false),
        ("false", "false", false),
        ("no", "\"NO\"", false),
        ("0", "0", false),
    ] {
        let config = load([("TOLLGATE_CONSOLE", text)]).unwrap().config;
        assert_eq!(config.http.console, on, "{text}");
        let path = write(
            dir.path(),
            "c.toml",
            &format!("tollgate_console = {toml}\n"),
        )
        .unwrap();
        let source = Source {
            file: Some(path),
            ..environment([])
        };
        let config = Config::load(&source).unwrap().config;
        assert_eq!(config.http.console, on, "{toml} in the file");
    }
    for wrong in ["2", "enabled", "t", "oui"] {
        let told = complaint("TOLLGATE_CONSOLE", wrong);
        assert!(told.contains("expected on or off"), "{told}");
    }
}

#[test]
fn only_secrets_are_read_from_files() {
    let loaded = load([("TOLLGATE_LISTEN_FILE", "/etc/listen")]).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].variable, "TOLLGATE_LISTEN_FILE");
}

#[test]
fn postgresql_needs_a_key_of_its_own() {
    let missing = |key: Option<&str>| {
        let mut source = environment([("DATABASE_URL", "postgres://db/tollgate")]);
        if let Some(key) = key {
            source
                .environment
                .insert("TOLLGATE_SECRET_KEY".into(), key.into());
        }
        Config::load(&source).is_err_and(|errors| {
            errors
                .problems
                .iter()
                .any(|problem| matches!(problem.kind, ProblemKind::Missing(_)))
        })
    };
    assert!(missing(None));
    assert!(
        load([
            ("DATABASE_URL", "postgres://db/tollgate"),
            ("TOLLGATE_SECRET_KEY", KEY)
        ])
        .is_ok()
    );
    assert!(!missing(Some("AAAA")), "a wrong key is not a missing one");
}

#[test]
fn several_secret_keys_are_read_in_their_order() {
    let other = "//////////////////////////////////////////4=";
    let dir = tempfile::tempdir().unwrap();
    let lines = write(dir.path(), "keys", &format!("{other}\n{KEY}\n")).unwrap();
    let lines = lines.display().to_string();
    let with_commas = format!("{other}, {KEY}");
    for variable in [
        ("TOLLGATE_SECRET_KEY", &with_commas),
        ("TOLLGATE_SECRET_KEY_FILE", &lines),
    ] {
        let loaded = load([(variable.0, variable.1.as_str())]);
        let shown = report(&loaded);
        assert!(
            shown.contains("TOLLGATE_SECRET_KEY = set (2, the first encrypts)"),
            "{shown}"
        );
        let keys = loaded.unwrap().config.store.secret_keys;
        let keys: Vec<[u8; 32]> = keys.iter().map(|key| *key.expose()).collect();
        let mut first = [255; 32];
        first[31] = 254;
        let second = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(keys, [first, second]);
    }
    let wrong = complaint("TOLLGATE_SECRET_KEY", &format!("{KEY},,AAAA"));
    assert!(wrong.contains("entry 2 is empty"), "{wrong}");
    assert!(wrong.contains("entry 3: 3 bytes long"), "{wrong}");
}

#[test]
fn the_same_address_twice_is_one_listener() {
    let ops = |listen: &str, ops: &str| {
        let variables = [("TOLLGATE_LISTEN", listen), ("TOLLGATE_OPS_LISTEN", ops)];
        load(variables).unwrap().config.http.ops_listen
    };
    assert_eq!(ops("127.0.0.1:80", "127.0.0.1:80"), None);
    assert!(ops("127.0.0.1:0", "127.0.0.1:0").is_some());
    assert!(ops("127.0.0.1:80", "127.0.0.1:81").is_some());
}

#[test]
fn one_port_of_every_address_and_of_one_is_taken_twice() {
    for (listen, ops, is_fine) in [
        ("0.0.0.0:80", "127.0.0.1:80", false),
        ("127.0.0.1:80", "0.0.0.0:80", false),
        ("[::]:80", "127.0.0.1:80", false),
        ("[::]:80", "0.0.0.0:80", false),
        ("0.0.0.0:80", "[::1]:80", true),
        ("0.0.0.0:80", "127.0.0.1:81", true),
        ("0.0.0.0:0", "127.0.0.1:0", true),
        ("127.0.0.1:80", "127.0.0.2:80", true),
    ] {
        let loaded = load([("TOLLGATE_LISTEN", listen), ("TOLLGATE_OPS_LISTEN", ops)]);
        let said = loaded.err().map(|errors| errors.to_string());
        assert_eq!(said.is_none(), is_fine, "{listen} {ops}: {said:?}");
        if let Some(said) = said {
            let named = format!(
                "TOLLGATE_OPS_LISTEN: malformed: port 80 is taken by TOLLGATE_LISTEN={listen}"
            );
            assert!(said.contains(&named), "{said}");
        }
    }
}
