//! Rows on their way from one engine to another, and what a table of them amounts to.

use std::fmt;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::domain::canonical_json::canonical_json;
use crate::store::StoreError;
use crate::store::driver::{Cells, Fault};

/// The kinds of columns, as the engine that distinguishes most of them declares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Text,
    Int,
    Bool,
    /// An instant of our own clock, kept to the microsecond.
    Time,
    Json,
    Bytes,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(in crate::store) struct ColumnKind {
    pub(in crate::store) name: String,
    pub(in crate::store) kind: Kind,
}

/// A table: its columns in an order that both sides use, and those of its primary key.
#[derive(Clone, Debug)]
pub(in crate::store) struct TableShape {
    pub(in crate::store) name: String,
    pub(in crate::store) columns: Vec<ColumnKind>,
    pub(in crate::store) key: Vec<ColumnKind>,
}

impl TableShape {
    /// `a, b, c`.
    pub(in crate::store) fn column_list(&self) -> String {
        names(&self.columns)
    }

    /// The same of the primary key.
    pub(in crate::store) fn key_list(&self) -> String {
        names(&self.key)
    }
}

fn names(columns: &[ColumnKind]) -> String {
    let names: Vec<&str> = columns.iter().map(|it| it.name.as_str()).collect();
    names.join(", ")
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Cell {
    Null,
    Text(String),
    Int(i64),
    Bool(bool),
    /// Microseconds since 1970 in UTC.
    Time(i64),
    /// The text of a document.
    Json(String),
    Bytes(Vec<u8>),
}

impl Cell {
    /// About how many bytes of memory it takes.
    pub(in crate::store) fn size(&self) -> usize {
        let beside = match self {
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Null | Self::Int(_) | Self::Bool(_) | Self::Time(_) => 0,
        };
        size_of::<Self>() + beside
    }
}

/// As keys are shown to a person.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Text(text) | Self::Json(text) => f.write_str(text),
            Self::Int(number) | Self::Time(number) => number.fmt(f),
            Self::Bool(yes) => yes.fmt(f),
            Self::Bytes(bytes) => f.write_str(&hex::encode(bytes)),
        }
    }
}

/// Reads the cells of a row whose columns are these, in their order.
pub(in crate::store) fn read(
    table: &str,
    columns: &[ColumnKind],
    row: &dyn Cells,
) -> Result<Vec<Cell>, StoreError> {
    let cells = columns.iter().enumerate().map(|(index, column)| {
        cell(row, index, column.kind).map_err(|fault| StoreError::CorruptRow {
            column: format!("{table}.{}", column.name),
            detail: fault.to_string(),
        })
    });
    cells.collect()
}

fn cell(row: &dyn Cells, index: usize, kind: Kind) -> Result<Cell, Fault> {
    if row.is_null(index)? {
        return Ok(Cell::Null);
    }
    Ok(match kind {
        Kind::Text => Cell::Text(row.text(index)?.to_owned()),
        Kind::Int => Cell::Int(row.int(index)?),
        Kind::Bool => Cell::Bool(row.bool(index)?),
        Kind::Time => Cell::Time(row.time(index)?.nanos().div_euclid(1_000)),
        Kind::Json => Cell::Json(row.json(index)?.to_owned()),
        Kind::Bytes => Cell::Bytes(row.bytes(index)?.to_vec()),
    })
}

/// What a table amounts to: the number of its rows, and the sum of their SHA-256, whatever their
/// order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableDigest {
    /// The number of rows.
    pub rows: u64,
    sum: [u64; 4],
}

impl TableDigest {
    /// What these rows amount to.
    pub(in crate::store) fn of(rows: &[Vec<Cell>]) -> Self {
        let mut digest = Self::default();
        for row in rows {
            digest.add(row);
        }
        digest
    }

    /// Adds the rows of another part of the table.
    pub(in crate::store) fn merge(&mut self, other: Self) {
        for (sum, word) in self.sum.iter_mut().zip(other.sum) {
            *sum = sum.wrapping_add(word);
        }
        self.rows += other.rows;
    }

    /// Adds a row. Documents count by what they mean, with every digit of their numbers: the engines
    /// write spaces, the order of names and large numbers each in its own way.
    fn add(&mut self, row: &[Cell]) {
        let mut hash = Sha256::new();
        for cell in row {
            hash_cell(&mut hash, cell);
        }
        let hash = hash.finalize();
        for (sum, bytes) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            *sum = sum.wrapping_add(u64::from_be_bytes(word));
        }
        self.rows += 1;
    }
}

impl fmt::Display for TableDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sum
            .iter()
            .try_for_each(|word| write!(f, "{word:016x}"))
    }
}

fn hash_cell(hash: &mut Sha256, cell: &Cell) {
    match cell {
        Cell::Null => hash.update([0]),
        Cell::Text(text) => hash_bytes(hash, 1, text.as_bytes()),
        Cell::Int(number) => hash_bytes(hash, 2, &number.to_be_bytes()),
        Cell::Bool(yes) => hash_bytes(hash, 3, &[u8::from(*yes)]),
        Cell::Time(micros) => hash_bytes(hash, 4, &micros.to_be_bytes()),
        Cell::Json(text) => match one_text(text) {
            Some(document) => hash_bytes(hash, 5, document.as_bytes()),
            // No engine that checks documents has this one; it differs from every other.
            None => hash_bytes(hash, 7, text.as_bytes()),
        },
        Cell::Bytes(bytes) => hash_bytes(hash, 6, bytes),
    }
}

/// With the kind and the length before, so that no two rows read alike.
fn hash_bytes(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// The one text of a document. Of a name that it gives twice the last value counts, as it does in an
/// engine that reads documents.
fn one_text(document: &str) -> Option<String> {
    canonical_json(document.as_bytes()).or_else(|| {
        let read: Json = serde_json::from_str(document).ok()?;
        canonical_json(read.to_string().as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(cells: &[Cell]) -> TableDigest {
        let mut digest = TableDigest::default();
        digest.add(cells);
        digest
    }

    #[test]
    fn documents_count_by_what_they_mean() {
        let json = |text: &str| digest(&[Cell::Json(text.to_owned())]);
        let large = format!(r#"{{"n": 1{}}}"#, "0".repeat(400));
        let same = [
            (
                r#"{"b":1,"a":[1.5,null]}"#,
                r#"{"a": [1.50, null], "b": 1}"#,
            ),
            (r#"{"n":1e20}"#, r#"{"n": 100000000000000000000}"#),
            (r#"{"n":1E400}"#, large.as_str()),
            (r#"{"n":1,"n":[2]}"#, r#"{"n": [2]}"#),
            (r#""\u00e4""#, r#""ä""#),
            ("1.0", "1"),
        ];
        for (one, other) in same {
            assert_eq!(json(one), json(other), "{one} {other}");
        }
        let different = [
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"["a","b"]"#, r#"["ab"]"#),
            ("[[],1]", "[[1]]"),
            ("null", "false"),
            ("9007199254740993", "9007199254740992"),
            ("1e400", "1e401"),
        ];
        for (one, other) in different {
            assert_ne!(json(one), json(other), "{one} {other}");
        }
    }

    #[test]
    fn rows_count_in_any_order_and_each_cell_counts() {
        let rows = [
            vec![Cell::Text("a".to_owned()), Cell::Null],
            vec![Cell::Null, Cell::Text("a".to_owned())],
            vec![Cell::Int(1), Cell::Bool(true)],
            vec![Cell::Time(1), Cell::Bytes(vec![1])],
        ];
        let sum = |order: &[usize]| {
            let mut digest = TableDigest::default();
            for index in order {
                digest.add(&rows[*index]);
            }
            digest
        };
        assert_eq!(sum(&[0, 1, 2, 3]), sum(&[3, 1, 0, 2]));
        for (index, row) in rows.iter().enumerate() {
            for other in &rows[index + 1..] {
                assert_ne!(digest(row), digest(other));
            }
        }
        assert_ne!(sum(&[0, 0]), sum(&[]), "twice is not nothing");
    }
}
