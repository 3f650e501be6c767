//! The database in which a store lives.

use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;

use super::postgres_url;

/// The database in which the store lives.
#[derive(Debug, Clone)]
pub enum Database {
    /// The embedded store, in this file.
    Sqlite(PathBuf),
    /// A PostgreSQL server; the URL may contain a password.
    Postgres(SecretString),
}

impl Database {
    /// Parses `sqlite://PATH` (three slashes before an absolute path) or a PostgreSQL URL.
    ///
    /// The path is taken literally. Of the parameters that other tools want, `?mode=rwc` is accepted
    /// because that is what happens anyway. A store in memory is refused: it would lose acknowledged
    /// events.
    ///
    /// # Errors
    /// What is wrong with the text, in a few words and without the text: it may have a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match Url::parse(text) {
                Ok(url) => postgres_url::check(&url).map(|()| Self::Postgres(text.into())),
                Err(error) => Err(format!("not a URL ({error})")),
            };
        }
        let path = text
            .strip_prefix("sqlite://")
            .or_else(|| text.strip_prefix("sqlite:"))
            .ok_or("neither a sqlite:// nor a postgres:// address")?;
        let path = path.strip_suffix("?mode=rwc").unwrap_or(path);
        if path.contains('?') {
            return Err("parameters after `?` are not understood".to_owned());
        }
        match path {
            "" => Err("no path after sqlite://".to_owned()),
            ":memory:" => Err("a store in memory loses what was acknowledged".to_owned()),
            _ => Ok(Self::Sqlite(PathBuf::from(path))),
        }
    }
}
