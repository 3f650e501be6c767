//! Parsers from the text of a setting to its value.
//!
//! Each function gets text that is trimmed and not empty, and its error tells in a few words what
//! is wrong with it. A secret is never repeated.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::Url;
use secrecy::SecretString;

use super::reader::ValueErrors;
use super::{LogFormat, SecretKey, url};
use crate::domain::connected_account::{
    ConnectedAccount, ConnectedAccounts, MAX_CONNECTED_ACCOUNTS,
};
use crate::domain::id::Provider;
use crate::domain::pasted_secret::{self, SecretUse};
use crate::domain::role::Role;
use crate::domain::span::{Span, SpanError};

/// The minimum length of `ADMIN_TOKEN`: 24 random letters and digits are over 120 bits.
const ADMIN_TOKEN_MIN: usize = 24;

/// AMQP names end at 255 bytes, and ours append to the prefix.
const AMQP_PREFIX_MAX: usize = 100;

/// The shortest time for which payloads are kept.
const RETENTION_MIN: Duration = Duration::from_hours(1);

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{} is not an IP address and a port", quoted(text)))
}

/// Parses networks, or single addresses. Bits below the mask are cleared.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, ValueErrors> {
    every(entries(text).map(|entry| {
        IpNet::from_str(entry)
            .map(|network| network.trunc())
            .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| format!("{} is not a network", quoted(entry)))
    }))
}

/// Parses origins: a scheme, a host, and perhaps a port. They come out as browsers write them, because
/// they are compared with what those send.
pub(super) fn origins(text: &str) -> Result<Vec<String>, ValueErrors> {
    every(entries(text).map(|entry| {
        let url = Url::parse(entry).ok().filter(|url| {
            let bare = [url.username(), url.password().unwrap_or_default()];
            matches!(url.scheme(), "http" | "https")
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && bare == ["", ""]
        });
        let origin = url.map(|url| url.origin().ascii_serialization());
        origin.ok_or_else(|| format!("{} is not an origin", quoted(entry)))
    }))
}

/// Parses a switch. `on` and `off` are the words of the documentation; what else other programs say for
/// them can mean nothing else.
pub(super) fn on_or_off(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(format!("{} is neither", quoted(text))),
    }
}

pub(super) fn broker_url(text: &str) -> Result<SecretString, String> {
    let url = url::parse(text)?;
    if !matches!(url.scheme(), "amqp" | "amqps") {
        return Err("neither amqp:// nor amqps://".to_owned());
    }
    if !url.has_host() {
        return Err("no host".to_owned());
    }
    // Of `amqp://host/` the broker looks for a virtual host without a name, and of `amqp://host/shop/`
    // for one that ends in a slash: it refuses both, whatever was meant.
    match url.path().strip_prefix('/') {
        Some("") => Err(
            "a slash at the end names a virtual host without a name: leave it out for \
                         the default one, or write /%2F"
                .to_owned(),
        ),
        Some(vhost) if vhost.ends_with('/') => {
            Err("a slash at the end is part of the virtual host's name: leave it out".to_owned())
        }
        Some(vhost) if vhost.contains('/') => {
            Err("a slash inside the virtual host's name must be written %2F".to_owned())
        }
        Some(_) | None => Ok(text.into()),
    }
}

pub(super) fn amqp_prefix(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.len() > AMQP_PREFIX_MAX {
        Err(format!("{} bytes long", text.len()))
    } else if !text.chars().all(allowed) {
        Err(format!("{} has other characters", quoted(text)))
    } else if text.starts_with("amq.") {
        Err("names beginning with `amq.` belong to the broker".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

pub(super) fn admin_token(text: &str) -> Result<SecretString, String> {
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("has characters that an HTTP header cannot carry".to_owned());
    }
    match text.len() {
        length if length < ADMIN_TOKEN_MIN => Err(format!("{length} characters long")),
        _ if is_monotonous(text) => Err("has the same few characters again and again".to_owned()),
        _ => pasted_secret::check_form(text).map(|()| text.into()),
    }
}

/// Tells a text that somebody typed to reach the length. Of 24 random hex digits, one in a hundred
/// million has so few different ones.
fn is_monotonous(text: &str) -> bool {
    const FEWEST: usize = 5;
    text.chars().collect::<BTreeSet<char>>().len() < FEWEST
}

/// Parses secret keys, separated by commas or line breaks.
pub(super) fn secret_keys(text: &str) -> Result<Vec<SecretKey>, ValueErrors> {
    let entries: Vec<&str> = text.split([',', '\n']).map(str::trim).collect();
    let key = |(index, entry): (usize, &&str)| {
        SecretKey::from_base64(entry).map_err(|error| match (entries.len(), entry.is_empty()) {
            (1, _) => error.to_string(),
            (_, true) => format!("entry {} is empty", index + 1),
            (_, false) => format!("entry {}: {error}", index + 1),
        })
    };
    every(entries.iter().enumerate().map(key))
}

/// Parses webhook secrets. An empty secret is one that everybody knows, so it is refused even
/// beside good ones; white space inside means two lines of a file run together.
pub(super) fn webhook_secrets(
    provider: Provider,
    text: &str,
) -> Result<Vec<SecretString>, ValueErrors> {
    every(entries(text).enumerate().map(|(index, entry)| {
        let number = index + 1;
        if entry.is_empty() {
            return Err(format!("entry {number} is empty"));
        }
        match pasted_secret::check(provider, SecretUse::Webhooks, entry) {
            Ok(()) => Ok(entry.into()),
            Err(wrong) => Err(format!("entry {number} {wrong}")),
        }
    }))
}

/// Parses the names of connected accounts.
pub(super) fn connected_accounts(text: &str) -> Result<ConnectedAccounts, ValueErrors> {
    let accounts = every(entries(text).map(|entry| {
        ConnectedAccount::from_str(entry)
            .map_err(|_| format!("{} is not a connected account", quoted(entry)))
    }))?;
    if accounts.len() > MAX_CONNECTED_ACCOUNTS {
        return Err(vec![format!("{} accounts", accounts.len())]);
    }
    Ok(accounts.into_iter().collect())
}

pub(super) fn api_key(provider: Provider, text: &str) -> Result<SecretString, String> {
    pasted_secret::check(provider, SecretUse::Api, text)?;
    Ok(text.into())
}

/// Parses what opens a repository: blanks can be in a password.
pub(super) fn repository_token(text: &str) -> Result<SecretString, String> {
    if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        Ok(text.into())
    } else {
        Err("has characters that an HTTP header cannot carry".to_owned())
    }
}

/// Parses a path of nginx, and ends it with a slash.
pub(super) fn accel_prefix(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    if !text.starts_with('/') {
        Err(format!("{} does not begin with a slash", quoted(text)))
    } else if !text.chars().all(is_plain) || text.contains("..") || text.contains("//") {
        Err(format!("{} is not a plain path", quoted(text)))
    } else {
        Ok(format!("{}/", text.trim_end_matches('/')))
    }
}

pub(super) fn api_base(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        Err("neither http:// nor https://".to_owned())
    } else if !url.username().is_empty() || url.password().is_some() {
        Err("has a user or a password".to_owned())
    } else if url.query().is_some() || url.fragment().is_some() {
        Err("has a query or a fragment".to_owned())
    } else {
        Ok(url)
    }
}

/// Most batches that a worker may process at once: each takes a connection to the database, of which
/// a process has twelve, and up to a thousand of the server's locks.
const MOST_BATCHES: usize = 8;

pub(super) fn worker_batches(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(batches) if (1..=MOST_BATCHES).contains(&batches) => Ok(batches),
        Ok(_) => Err(format!("{} is not from 1 to {MOST_BATCHES}", quoted(text))),
        Err(_) => Err(format!("{} is not a whole number", quoted(text))),
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(0) => Err("0 would refuse every delivery".to_owned()),
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(_) => Err(format!("{} is not a number of seconds", quoted(text))),
    }
}

/// Parses how long payloads are kept; `None` for ever. Words and numbers that could mean both "keep
/// none" and "remove none" are refused: what is removed cannot be brought back.
pub(super) fn retention(text: &str) -> Result<Option<Span>, String> {
    if text == "forever" {
        return Ok(None);
    }
    if ["0", "off", "on", "never", "none"].contains(&text) {
        let both = "could mean to keep nothing or to keep everything";
        return Err(format!("{} {both}", quoted(text)));
    }
    let span: Span = text.parse().map_err(|error: SpanError| error.to_string())?;
    if span.duration() < RETENTION_MIN {
        // A payload is what a replay needs.
        return Err(format!("{} is too short to look at an event", quoted(text)));
    }
    Ok(Some(span))
}

/// Parses a length of time of at least an hour, for what is done about changes.
pub(super) fn hours(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: SpanError| error.to_string())?;
    if span.duration() < RETENTION_MIN {
        return Err(format!("{} is less than an hour", quoted(text)));
    }
    Ok(span)
}

/// Parses how long an endpoint may be silent: a length of time of at least an hour, or `off`.
pub(super) fn silent_after(text: &str) -> Result<Option<Span>, String> {
    match text {
        "off" => Ok(None),
        _ => hours(text).map(Some),
    }
}

/// Parses the least role that sees payloads. Owners see what admins see.
pub(super) fn payloads_for(text: &str) -> Result<Role, String> {
    match text.parse() {
        Ok(role @ (Role::Viewer | Role::Admin)) => Ok(role),
        Ok(Role::Owner) | Err(_) => Err(format!("{} is neither of them", quoted(text))),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{} is no log format", quoted(text))),
    }
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// Returns all values, or all errors.
pub(super) fn every<T>(
    results: impl Iterator<Item = Result<T, String>>,
) -> Result<Vec<T>, ValueErrors> {
    let mut values = Vec::new();
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}

/// Quotes a value that is not secret, on one line and shortened.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let shown: String = text.chars().take(SHOWN).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{rest}")
}
