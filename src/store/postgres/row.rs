//! Reading PostgreSQL's rows.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::{Column, Row, TypeInfo, ValueRef};

use crate::domain::time::Timestamp;
use crate::store::driver::{Cells, Fault};

impl Cells for PgRow {
    fn is_null(&self, index: usize) -> Result<bool, Fault> {
        Ok(self.try_get_raw(index)?.is_null())
    }

    fn text(&self, index: usize) -> Result<&str, Fault> {
        self.try_get(index).map_err(fault)
    }

    fn int(&self, index: usize) -> Result<i64, Fault> {
        // Literals of statements are INT4, columns are INT8.
        if type_of(self, index)? == "INT4" {
            return self.try_get::<i32, _>(index).map(i64::from).map_err(fault);
        }
        self.try_get(index).map_err(fault)
    }

    fn bool(&self, index: usize) -> Result<bool, Fault> {
        self.try_get(index).map_err(fault)
    }

    fn time(&self, index: usize) -> Result<Timestamp, Fault> {
        // Exact instants are whole nanoseconds.
        if type_of(self, index)? == "INT8" {
            return self.int(index).map(Timestamp::from_nanos);
        }
        let at: DateTime<Utc> = self.try_get(index).map_err(fault)?;
        at.timestamp_nanos_opt()
            .map(Timestamp::from_nanos)
            .ok_or_else(|| "is an instant outside the years 1678 to 2261".into())
    }

    fn json(&self, index: usize) -> Result<&str, Fault> {
        if type_of(self, index)? != "JSONB" {
            return Err("is not a document".into());
        }
        let raw = self.try_get_raw(index)?;
        if raw.is_null() {
            return Err("is NULL".into());
        }
        document(&raw)
    }

    fn bytes(&self, index: usize) -> Result<&[u8], Fault> {
        self.try_get(index).map_err(fault)
    }

    fn name(&self, index: usize) -> Option<&str> {
        Some(self.try_column(index).ok()?.name())
    }
}

fn type_of(row: &PgRow, index: usize) -> Result<&str, Fault> {
    Ok(row.try_column(index)?.type_info().name())
}

/// The cause alone: the reader knows the column's name.
fn fault(error: sqlx::Error) -> Fault {
    match error {
        sqlx::Error::ColumnDecode { source, .. } => source,
        other => other.into(),
    }
}

/// JSONB travels as a version, which is 1, and the document's text.
/// <https://www.postgresql.org/docs/current/datatype-json.html>
fn document<'r>(raw: &PgValueRef<'r>) -> Result<&'r str, Fault> {
    match raw.as_bytes()?.split_first() {
        Some((1, text)) => Ok(str::from_utf8(text)?),
        _ => Err("is a JSONB value of an unknown form".into()),
    }
}
