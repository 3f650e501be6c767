//! The database in which a store lives.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::{postgres_url, url};

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
            let parsed = url::parse(text)?;
            return postgres_url::check(&parsed).map(|()| Self::Postgres(text.into()));
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

/// Names the database, without what opens it: which server, which database, as whom.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => match Url::parse(url.expose_secret()) {
                Ok(url) => f.write_str(&postgres_url::named(&url)),
                // Parsed when it was read.
                Err(_) => f.write_str("PostgreSQL"),
            },
        }
    }
}
