//! Errors of the store.

use std::sync::Arc;

use super::engine_error::EngineError;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, full or broken. Trying again later may succeed.
    #[error("{}", trouble.sentence())]
    Database {
        /// The engine's error.
        #[source]
        source: EngineError,
        /// The kind of failure.
        trouble: Trouble,
    },
    /// The database refused a statement for its text or its values. It would refuse it again, so
    /// the caller must not wait for a better time.
    #[error("the database refused a statement")]
    Refused {
        /// The engine's error.
        #[source]
        source: EngineError,
    },
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date")]
    Migrate {
        /// The migration and its error.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The database cannot keep all letters.
    #[error(
        "the encoding {encoding} of the database lacks letters: make it with ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding {
        /// Its name at the server.
        encoding: String,
    },
    /// The schema is of another version, and with PostgreSQL a server does not change it: others
    /// may still be using the old one.
    #[error("the database's schema is not of this version: run `tollgate migrate`")]
    Outdated,
    /// The schema is of a newer version, and what its rows mean is not known here.
    #[error("the store was made by a newer tollgate: schema {schema}, this one knows {known}")]
    Newer {
        /// The version of the schema.
        schema: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The rows are part of a copy that has not ended.
    #[error("a copy into this database has not ended: run the same `tollgate copy` again")]
    HalfCopied,
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
    /// A list is to go on behind a row that it cannot have.
    #[error("the cursor is none of this list")]
    Cursor,
    /// No key could be made for a licence that is owed.
    #[error("no key could be made for a licence")]
    LicenseKey {
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// One statement for many askers failed, each of whom gets the error.
    #[error(transparent)]
    Shared(Arc<StoreError>),
    /// One statement for many askers ended in a panic, which has a line of its own in the log.
    #[error("a look-up that was shared with others ended in a panic")]
    Panicked,
    /// A document could not be written as JSON.
    #[error("a document could not be written")]
    Document {
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

/// The kind of a failure that passes by itself or by what somebody does elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The database does not answer, or cannot be reached.
    Away,
    /// All connections of this process were in use for too long, or the server has none left.
    Busy,
    /// Somebody else holds a lock for which the statement waited too long.
    Locked,
    /// A transaction did nothing for so long that the database ended it: this process hung, or what it was
    /// to work out is too much.
    Stalled,
    /// There is no room on the disk.
    Full,
    /// The database takes no writes: a standby, or a file that may only be read.
    ReadOnly,
    /// The server refuses the user, the password or the name of the database.
    Denied,
    /// The user lacks a right to what is in the database.
    Forbidden,
    /// A pooler stands before the database, and keeps no sessions.
    Pooled,
    /// The file of the embedded store was removed, or another one put in its place, while it was in use.
    Replaced,
    /// Anything else.
    Broken,
}

impl Trouble {
    /// Returns the stable code, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Away => "store_away",
            Self::Busy => "store_busy",
            Self::Locked => "store_locked",
            Self::Stalled => "store_stalled",
            Self::Full => "store_full",
            Self::ReadOnly => "store_read_only",
            Self::Denied => "store_denied",
            Self::Forbidden => "store_forbidden",
            Self::Pooled => "store_pooled",
            Self::Replaced => "store_replaced",
            Self::Broken => "store_failed",
        }
    }

    /// Returns the sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Away => "the database does not answer or cannot be reached",
            Self::Busy => "all connections to the database are in use",
            Self::Locked => "somebody else holds a lock that keeps writes waiting",
            Self::Stalled => "the database ended a transaction that did nothing for too long",
            Self::Full => "the database's disk is full",
            Self::ReadOnly => "the database takes no writes",
            Self::Denied => "the database refuses the user, the password or the database's name",
            Self::Forbidden => {
                "the database's user may not do that: let it own the database and its tables, or grant it rights"
            }
            Self::Pooled => {
                "a pooler that keeps no sessions, such as PgBouncer, stands before the database: let DATABASE_URL lead to the server itself"
            }
            Self::Replaced => {
                "the database's file was removed or replaced while it was in use: put it back, or start the server again for the one that is there now"
            }
            Self::Broken => "the database fails; the log has the reason",
        }
    }
}

/// What an engine's error code says.
pub(super) enum Verdict {
    /// The statement is to blame, and would be refused again.
    Refused,
    /// The statement is not to blame.
    Passing(Trouble),
}

impl StoreError {
    /// An error of an engine, which knows its codes.
    pub(super) fn of_engine(source: sqlx::Error, verdict: fn(&str) -> Verdict) -> Self {
        let verdict = match &source {
            sqlx::Error::Configuration(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. } => Verdict::Refused,
            sqlx::Error::Database(error) => error
                .code()
                .map_or(Verdict::Passing(Trouble::Broken), |code| verdict(&code)),
            sqlx::Error::PoolTimedOut => Verdict::Passing(Trouble::Busy),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Verdict::Passing(Trouble::Away),
            _ => Verdict::Passing(Trouble::Broken),
        };
        let source = source.into();
        match verdict {
            Verdict::Refused => Self::Refused { source },
            Verdict::Passing(trouble) => Self::Database { source, trouble },
        }
    }

    /// Returns the kind of a failure of the database itself; `None` if it works and refused.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Shared(error) => error.trouble(),
            Self::Database { trouble, .. } => Some(*trouble),
            Self::Refused { .. }
            | Self::Migrate { .. }
            | Self::Encoding { .. }
            | Self::Outdated
            | Self::Newer { .. }
            | Self::HalfCopied
            | Self::Contended
            | Self::Overtaken
            | Self::CorruptRow { .. }
            | Self::Panicked
            | Self::Cursor
            | Self::LicenseKey { .. }
            | Self::Document { .. } => None,
        }
    }

    /// Returns true if the same work may succeed later without anybody changing it.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Shared(error) => error.is_passing(),
            Self::Database { .. } | Self::Contended | Self::Overtaken | Self::LicenseKey { .. } => {
                true
            }
            Self::Refused { .. }
            | Self::Migrate { .. }
            | Self::Encoding { .. }
            | Self::Outdated
            | Self::Newer { .. }
            | Self::HalfCopied
            | Self::CorruptRow { .. }
            | Self::Panicked
            | Self::Cursor
            | Self::Document { .. } => false,
        }
    }
}
