//! PostgreSQL's error codes.

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

use crate::store::StoreError;
use crate::store::error::{Trouble, Verdict};

/// Classes of errors of statements that fail however often they are tried: rows written twice,
/// values, constraints, statements, limits.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const REFUSED_CLASSES: [&str; 5] = ["21", "22", "23", "42", "54"];

/// Of these classes, what no statement is to blame for: a privilege, a table or a column that is
/// missing until somebody sees to it.
const OF_THE_OPERATOR: [&str; 3] = [NO_PRIVILEGE, UNDEFINED_TABLE, "42703"];

const NO_PRIVILEGE: &str = "42501";

const UNDEFINED_TABLE: &str = "42P01";

const NOT_SUPPORTED: &str = "0A000";

const TOO_MANY_CONNECTIONS: &str = "53300";

/// Turns an error of the server, or of the way to it, into one of the store.
pub(super) fn failed(source: sqlx::Error) -> StoreError {
    if is_of_pooler(&source) {
        return StoreError::Database {
            source: source.into(),
            trouble: Trouble::Pooled,
        };
    }
    if is_of_standby(&source) {
        return StoreError::Database {
            source: source.into(),
            trouble: Trouble::ReadOnly,
        };
    }
    StoreError::of_engine(source, verdict)
}

/// True of what a standby answers to the beginning of a transaction that may write. The code says only that
/// something is not supported, so the sentence decides: in another language than English it is an error like any
/// other.
fn is_of_standby(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|it| {
        it.code().as_deref() == Some(NOT_SUPPORTED) && it.message().contains("during recovery")
    })
}

/// True of what a pooler answers that gives each transaction another session, and a server never: statements
/// that were prepared elsewhere, and limits of time that it does not take. The claim of the built-in queue and
/// the lock of migrations would be another's too. <https://www.pgbouncer.org/features.html>
fn is_of_pooler(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    match error.code().as_deref() {
        // It is there already; it is not there.
        Some("42P05" | "26000") => true,
        Some("08P01") => ["startup parameter", "prepared statement"]
            .iter()
            .any(|it| error.message().contains(it)),
        _ => false,
    }
}

fn verdict(code: &str) -> Verdict {
    let class = code.get(..2).unwrap_or_default();
    if REFUSED_CLASSES.contains(&class) && !OF_THE_OPERATOR.contains(&code) {
        return Verdict::Refused;
    }
    Verdict::Passing(match (code, class) {
        // Not available in time, and the time of the statement used up: mostly by waiting.
        ("55P03" | "57014", _) => Trouble::Locked,
        ("25P03", _) => Trouble::Stalled,
        ("53100", _) => Trouble::Full,
        (TOO_MANY_CONNECTIONS, _) => Trouble::Busy,
        ("25006", _) => Trouble::ReadOnly,
        // A lost connection; a server that stops, starts or was told to end this session.
        (_, "08") | ("57P01" | "57P02" | "57P03" | "57P05", _) => Trouble::Away,
        // A wrong password or user; a database that is not there or not for this user.
        (_, "28") | ("3D000", _) => Trouble::Denied,
        (NO_PRIVILEGE, _) => Trouble::Forbidden,
        _ => Trouble::Broken,
    })
}

/// Turns an error of a migration into one of the store. Of a user who may not make tables, as in the
/// schema `public` from PostgreSQL 15 on, and of a pooler, it is that of any other statement.
pub(super) fn migration_failed(source: MigrateError) -> StoreError {
    match source {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if code_is(&error, NO_PRIVILEGE) || is_of_pooler(&error) =>
        {
            failed(error)
        }
        source => StoreError::Migrate { source },
    }
}

fn code_is(error: &sqlx::Error, wanted: &str) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == wanted)
}

/// Returns true if the server lets nobody else in at present.
pub(super) fn is_of_many_connections(error: &sqlx::Error) -> bool {
    code_is(error, TOO_MANY_CONNECTIONS)
}

pub(super) fn is_missing_table(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|code| code == UNDEFINED_TABLE)
}
