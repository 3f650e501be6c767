//! PostgreSQL's error codes.

use sqlx::error::DatabaseError;

use crate::store::StoreError;

/// Classes of errors of statements that fail however often they are tried: rows written twice,
/// values, constraints, statements, limits.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const REFUSED_CLASSES: [&str; 5] = ["21", "22", "23", "42", "54"];

/// Of these classes, what no statement is to blame for: a privilege, a table or a column that is
/// missing until somebody sees to it.
const OF_THE_OPERATOR: [&str; 3] = ["42501", UNDEFINED_TABLE, "42703"];

const UNDEFINED_TABLE: &str = "42P01";

/// Turns an error of the server, or of the way to it, into one of the store.
pub(super) fn failed(source: sqlx::Error) -> StoreError {
    StoreError::of_engine(source, is_refusal)
}

/// Returns true if the statement is to blame for an error of this code.
fn is_refusal(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    REFUSED_CLASSES.contains(&class) && !OF_THE_OPERATOR.contains(&code)
}

pub(super) fn is_missing_table(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|code| code == UNDEFINED_TABLE)
}
