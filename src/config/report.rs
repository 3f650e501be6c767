//! The output of `check-config`.

use std::fmt::{self, Write};
use std::path::Path;

use ipnet::IpNet;

use super::setting::{self, Setting};
use super::{Config, ConfigErrors, Loaded, LogFormat, ProviderConfig};
use crate::domain::connected_account::{ConnectedAccount, ConnectedAccounts};

/// Renders problems and warnings, one per line; without problems also the settings as they take
/// effect. Of secrets it tells only whether they are set, and how many. Ends with a line break.
pub fn report(outcome: &Result<Loaded, ConfigErrors>) -> String {
    let (problems, warnings) = match outcome {
        Ok(loaded) => (&[][..], &loaded.warnings),
        Err(errors) => (&errors.problems[..], &errors.warnings),
    };
    let mut text = String::new();
    for problem in problems {
        line(&mut text, format_args!("problem: {problem}"));
    }
    for warning in warnings {
        line(&mut text, format_args!("warning: {warning}"));
    }
    if let Ok(loaded) = outcome {
        for (setting, value) in effective(&loaded.config) {
            line(&mut text, format_args!("{} = {value}", setting.name));
        }
    }
    text
}

fn line(text: &mut String, content: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{content}");
}

fn on_or_off(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}

/// Returns each setting with its effective value.
fn effective(config: &Config) -> Vec<(&'static Setting, String)> {
    let Config {
        http,
        store,
        queue,
        admin,
        webhooks,
        stripe,
        paddle,
        connected_accounts,
        identity,
        registry,
        hooks,
        log,
    } = config;
    let tolerance = webhooks.signature_tolerance.as_secs();
    vec![
        (&setting::LISTEN, http.listen.to_string()),
        (
            &setting::OPS_LISTEN,
            shown(http.ops_listen, "as TOLLGATE_LISTEN"),
        ),
        (&setting::TRUSTED_PROXIES, networks(&http.trusted_proxies)),
        (&setting::CORS_ORIGINS, listed(&http.cors_origins)),
        (&setting::CONSOLE, on_or_off(http.console)),
        (&setting::PAYLOADS_FOR, http.payloads_for.to_string()),
        (&setting::DATA_DIR, store.data_dir.display().to_string()),
        (&setting::DATABASE_URL, store.database.to_string()),
        (&setting::AMQP_URL, set(queue.amqp_url.is_some())),
        (
            &setting::AMQP_CA_FILE,
            shown(queue.amqp_ca_file.as_deref().map(Path::display), NOT_SET),
        ),
        (&setting::AMQP_PREFIX, queue.amqp_prefix.clone()),
        (&setting::WORKER_BATCHES, queue.worker_batches.to_string()),
        (&setting::SECRET_KEY, secret_keys(store.secret_keys.len())),
        (&setting::ADMIN_TOKEN, set(admin.token.is_some())),
        (&setting::STRIPE_WEBHOOK_SECRET, count(stripe)),
        (&setting::PADDLE_WEBHOOK_SECRET, count(paddle)),
        (&setting::STRIPE_PRICE_MAPPING, prices(stripe)),
        (&setting::PADDLE_PRICE_MAPPING, prices(paddle)),
        (
            &setting::CONNECTED_ACCOUNTS,
            accounts(connected_accounts.as_ref()),
        ),
        (
            &setting::METADATA_KEY,
            (identity.as_ref())
                .and_then(|it| it.metadata_key.clone())
                .unwrap_or_else(|| NOT_SET.to_owned()),
        ),
        (
            &setting::CLIENT_REFERENCE_ID,
            identity.as_ref().map_or_else(
                || NOT_SET.to_owned(),
                |it| on_or_off(it.client_reference_id),
            ),
        ),
        (&setting::STRIPE_API_KEY, set(stripe.api_key.is_some())),
        (&setting::PADDLE_API_KEY, set(paddle.api_key.is_some())),
        (
            &setting::STRIPE_API_BASE,
            shown(stripe.api_base.as_ref(), PROVIDERS_OWN),
        ),
        (
            &setting::PADDLE_API_BASE,
            shown(paddle.api_base.as_ref(), PROVIDERS_OWN),
        ),
        (&setting::SIGNATURE_TOLERANCE, format!("{tolerance} s")),
        (
            &setting::PAYLOAD_RETENTION,
            shown(store.payload_retention, "forever"),
        ),
        (&setting::PUBLISH_CHANGES, on_or_off(hooks.publish)),
        (
            &setting::CHANGE_RETENTION,
            hooks.change_retention.to_string(),
        ),
        (&setting::HOOKS_PRIVATE, on_or_off(hooks.private)),
        (
            &setting::HOOKS_DISABLE_AFTER,
            hooks.disable_after.to_string(),
        ),
        (
            &setting::ENDPOINT_SILENT_AFTER,
            shown(webhooks.silent_after, "off"),
        ),
        (
            &setting::REPOSITORY,
            shown(registry.repository.as_ref(), NOT_SET),
        ),
        (&setting::REPOSITORY_TOKEN, set(registry.token.is_some())),
        (
            &setting::ACCEL_PREFIX,
            shown(registry.accel_prefix.as_ref(), NOT_SET),
        ),
        (&setting::LOG, log.filter.clone()),
        (&setting::LOG_FORMAT, log_format(log.format).to_owned()),
    ]
}

const NOT_SET: &str = "not set";
const PROVIDERS_OWN: &str = "the provider's own";

fn set(is_set: bool) -> String {
    if is_set { "set" } else { NOT_SET }.to_owned()
}

fn shown(value: Option<impl fmt::Display>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.to_owned(), |value| value.to_string())
}

fn secret_keys(count: usize) -> String {
    match count {
        0 | 1 => set(count > 0),
        _ => format!("set ({count}, the first encrypts)"),
    }
}

fn count(provider: &ProviderConfig) -> String {
    match provider.webhook_secrets.len() {
        0 => NOT_SET.to_owned(),
        count => format!("set ({count})"),
    }
}

fn prices(provider: &ProviderConfig) -> String {
    match &provider.prices {
        None => NOT_SET.to_owned(),
        Some(prices) => {
            let packages: usize = prices.values().map(Vec::len).sum();
            format!("set (prices: {}, packages: {packages})", prices.len())
        }
    }
}

fn accounts(accounts: Option<&ConnectedAccounts>) -> String {
    let Some(accounts) = accounts else {
        return NOT_SET.to_owned();
    };
    let accounts: Vec<&str> = accounts.iter().map(ConnectedAccount::as_str).collect();
    accounts.join(",")
}

fn networks(networks: &[IpNet]) -> String {
    let networks: Vec<String> = networks.iter().map(IpNet::to_string).collect();
    listed(&networks)
}

fn listed(texts: &[String]) -> String {
    if texts.is_empty() {
        return "none".to_owned();
    }
    texts.join(",")
}

fn log_format(format: Option<LogFormat>) -> &'static str {
    match format {
        Some(LogFormat::Text) => "text",
        Some(LogFormat::Json) => "json",
        None => "text on a terminal, else json",
    }
}
