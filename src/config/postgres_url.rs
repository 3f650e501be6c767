//! The parameters of a PostgreSQL URL.

use reqwest::Url;

/// What the driver reads, <https://docs.rs/sqlx/latest/sqlx/postgres/struct.PgConnectOptions.html>. It
/// ignores everything else: with `sslmod=verify-full` nothing would ask for TLS.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// <https://www.postgresql.org/docs/current/libpq-ssl.html>.
const SSL_MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// Checks names, and the modes of TLS.
pub(super) fn check(url: &Url) -> Result<(), String> {
    if url.host_str().is_some_and(|host| host.contains(',')) {
        return Err(
            "several hosts are named, and one is asked: give a name or an address that leads to \
                    the server that takes writes"
                .to_owned(),
        );
    }
    for (name, value) in url.query_pairs() {
        let is_option = name.starts_with("options[") && name.ends_with(']');
        if !is_option && !PARAMETERS.contains(&&*name) {
            return Err(format!(
                "{} is no parameter that is read{}",
                shown(&name),
                near(&name)
            ));
        }
        let is_mode = matches!(&*name, "sslmode" | "ssl-mode");
        if is_mode && !SSL_MODES.contains(&&*value.to_ascii_lowercase()) {
            return Err(format!(
                "{} is no `sslmode`: these are {}",
                shown(&value),
                SSL_MODES.join(", ")
            ));
        }
    }
    Ok(())
}

/// Names server, database and user. Parameters count before what stands in front of them, and what is
/// said nowhere comes from the environment (`PGHOST`, …) or is the user's.
pub(super) fn named(url: &Url) -> String {
    let given = |names: &[&str], otherwise: Option<&str>| {
        let pairs = url.query_pairs();
        let last = pairs.filter(|(name, _)| names.contains(&&**name)).last();
        let text = last.map(|(_, value)| value.into_owned());
        let text = text.or_else(|| otherwise.map(str::to_owned));
        text.filter(|text| !text.is_empty())
    };
    let port = url.port().map(|port| port.to_string());
    let host = given(&["host", "hostaddr"], url.host_str());
    let port = given(&["port"], port.as_deref());
    let database = given(&["dbname"], url.path().strip_prefix('/'));
    let user = given(&["user"], Some(url.username()));
    let mut text = "PostgreSQL".to_owned();
    let port = port.as_deref().unwrap_or("5432");
    text.extend(host.map(|host| format!(" at {host}:{port}")));
    text.extend(database.map(|name| format!(", database {name}")));
    text.extend(user.map(|name| format!(", user {name}")));
    text
}

fn near(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let measured = PARAMETERS
        .iter()
        .map(|it| (strsim::osa_distance(it, &lower), it));
    match measured.min() {
        Some((distance, near)) if distance <= 2 => format!(" (did you mean `{near}`?)"),
        _ => String::new(),
    }
}

/// A word of the URL. Anything else may be a part of a password with a `?` in it.
fn shown(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphabetic() || matches!(c, '-' | '_');
    if text.chars().all(is_word) {
        const SHOWN: usize = 60;
        let start: String = text.chars().take(SHOWN).collect();
        format!("{start:?}")
    } else {
        "a part after `?`".to_owned()
    }
}
