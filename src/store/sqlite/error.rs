//! SQLite's result codes.

use sqlx::error::DatabaseError;

use crate::store::StoreError;

/// The primary result codes of statements that fail however often they are tried: `ERROR`,
/// `TOOBIG`, `CONSTRAINT`, `MISMATCH` and `RANGE`. <https://www.sqlite.org/rescode.html>
const REFUSALS: [u32; 5] = [1, 18, 19, 20, 25];

/// Turns an error of the engine into one of the store.
pub(super) fn failed(source: sqlx::Error) -> StoreError {
    StoreError::of_engine(source, is_refusal)
}

/// Returns true if the statement is to blame for an error of this code. The upper bytes of an
/// extended code say nothing of that.
fn is_refusal(code: &str) -> bool {
    code.parse::<u32>()
        .is_ok_and(|code| REFUSALS.contains(&(code & 0xff)))
}

/// Returns true if a table is missing. There is no result code for it.
pub(super) fn is_missing_table(error: &dyn DatabaseError) -> bool {
    error.message().contains("no such table")
}
