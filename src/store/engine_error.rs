//! Errors of an engine, in the words that operators need.

use std::error::Error;
use std::fmt;

/// An error of the database or of the way to it.
#[derive(Debug)]
pub struct EngineError(sqlx::Error);

impl From<sqlx::Error> for EngineError {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

/// Of what PostgreSQL says, its message: the library adds a line of the server's source code, which
/// reads like one of a statement.
impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            sqlx::Error::Database(said) => {
                write!(f, "error returned from database: {}", said.message())
            }
            other => other.fmt(f),
        }
    }
}

impl Error for EngineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            sqlx::Error::Database(_) => None,
            other => other.source(),
        }
    }
}
