//! SQLite's result codes.

use sqlx::error::DatabaseError;

use crate::store::StoreError;
use crate::store::error::{Trouble, Verdict};

/// The primary result codes of statements that fail however often they are tried: `ERROR`,
/// `TOOBIG`, `CONSTRAINT`, `MISMATCH` and `RANGE`. <https://www.sqlite.org/rescode.html>
const REFUSALS: [u32; 5] = [1, 18, 19, 20, 25];

/// Turns an error of the engine into one of the store.
pub(super) fn failed(source: sqlx::Error) -> StoreError {
    StoreError::of_engine(source, verdict)
}

/// No room for the index of the log, which is told as an I/O error.
const SHM_SIZE: u32 = 4874;

/// The upper bytes of an extended code tell the circumstances.
fn verdict(code: &str) -> Verdict {
    let code = code.parse::<u32>().unwrap_or_default();
    if code == SHM_SIZE {
        return Verdict::Passing(Trouble::Full);
    }
    let primary = code & 0xff;
    if REFUSALS.contains(&primary) {
        return Verdict::Refused;
    }
    Verdict::Passing(match primary {
        // BUSY and LOCKED.
        5 | 6 => Trouble::Locked,
        8 => Trouble::ReadOnly,
        13 => Trouble::Full,
        // CANTOPEN.
        14 => Trouble::Away,
        _ => Trouble::Broken,
    })
}

/// Returns true if a table is missing. There is no result code for it.
pub(super) fn is_missing_table(error: &dyn DatabaseError) -> bool {
    error.message().contains("no such table")
}
