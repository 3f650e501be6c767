//! Errors of the store.

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, full or broken. Trying again later may succeed.
    #[error("the database did not answer as it should")]
    Database {
        /// The engine's error.
        #[source]
        source: sqlx::Error,
    },
    /// The database refused a statement for its text or its values. It would refuse it again, so
    /// the caller must not wait for a better time.
    #[error("the database refused a statement")]
    Refused {
        /// The engine's error.
        #[source]
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date")]
    Migrate {
        /// The migration and its error.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The schema is of another version, and with PostgreSQL a server does not change it: others
    /// may still be using the old one.
    #[error("the database's schema is not of this version: run `tollgate migrate`")]
    Outdated,
    /// Somebody else is working on the same customers. Nothing was changed.
    #[error("another transaction works on the same customers")]
    Contended,
    /// The request took longer than its `Idempotency-Key` waits, and another with the same key has
    /// begun. Nothing was changed.
    #[error("another request with the same Idempotency-Key has taken over")]
    Overtaken,
    /// A row holds what this version cannot read.
    #[error("column `{column}` holds what cannot be read: {detail}")]
    CorruptRow {
        /// The table and the column.
        column: String,
        /// The fault.
        detail: String,
    },
    /// A document could not be written as JSON.
    #[error("a document could not be written")]
    Document {
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

impl StoreError {
    /// An error of an engine, which knows by its code whether the statement is to blame.
    pub(super) fn of_engine(source: sqlx::Error, is_refusal: fn(&str) -> bool) -> Self {
        let refused = match &source {
            sqlx::Error::Configuration(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. } => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_refusal(&code)),
            _ => false,
        };
        if refused {
            Self::Refused { source }
        } else {
            Self::Database { source }
        }
    }

    /// Returns true if the same work may succeed later without anybody changing it.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database { .. } | Self::Contended | Self::Overtaken => true,
            Self::Refused { .. }
            | Self::Migrate { .. }
            | Self::Outdated
            | Self::CorruptRow { .. }
            | Self::Document { .. } => false,
        }
    }
}
