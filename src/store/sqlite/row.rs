//! Reading SQLite's rows. SQLite types values, not columns: each value says what it is.

use sqlx::sqlite::SqliteRow;
use sqlx::{Column, Decode, Row, Sqlite, TypeInfo, ValueRef};

use crate::domain::time::Timestamp;
use crate::store::driver::{Cells, Fault};

/// The types of whole numbers, of yes and no, and of instants.
const INTEGERS: &[&str] = &["INTEGER", "BOOLEAN"];

impl Cells for SqliteRow {
    fn is_null(&self, index: usize) -> Result<bool, Fault> {
        Ok(self.try_get_raw(index)?.is_null())
    }

    fn text(&self, index: usize) -> Result<&str, Fault> {
        typed(self, index, &["TEXT"])
    }

    fn int(&self, index: usize) -> Result<i64, Fault> {
        typed(self, index, INTEGERS)
    }

    fn bool(&self, index: usize) -> Result<bool, Fault> {
        Ok(self.int(index)? != 0)
    }

    fn time(&self, index: usize) -> Result<Timestamp, Fault> {
        self.int(index).map(Timestamp::from_nanos)
    }

    fn json(&self, index: usize) -> Result<&str, Fault> {
        self.text(index)
    }

    fn bytes(&self, index: usize) -> Result<&[u8], Fault> {
        typed(self, index, &["BLOB"])
    }

    fn name(&self, index: usize) -> Option<&str> {
        Some(self.try_column(index).ok()?.name())
    }
}

/// A value that must be of one of these types. Left to itself, SQLite would convert it.
fn typed<'r, T: Decode<'r, Sqlite>>(
    row: &'r SqliteRow,
    index: usize,
    types: &[&str],
) -> Result<T, Fault> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Err("is NULL".into());
    }
    if !types.contains(&raw.type_info().name()) {
        return Err(format!("is {}, not {}", raw.type_info().name(), types[0]).into());
    }
    T::decode(raw)
}
