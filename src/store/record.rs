//! Rows as structs: sets of them as one bind, and reading by position.
//!
//! [`record!`] writes what a struct needs to be a row. The columns are its fields, in their
//! order, so a statement that reads a record selects exactly these columns in this order. In
//! debug builds the names are compared as well, so that a statement which selects them in
//! another order fails its first test.

use super::StoreError;
use super::cell::{FromCell, IntoCell, Stored};
use super::driver::{Batch, Cells, Column, Row, Value};

/// A struct that can be read from a row.
pub(crate) trait FromRow: Sized {
    /// Reads the next columns.
    fn from_row(row: &mut Reader<'_>) -> Result<Self, StoreError>;
}

/// Two records that stand side by side in one row.
impl<A: FromRow, B: FromRow> FromRow for (A, B) {
    fn from_row(row: &mut Reader<'_>) -> Result<Self, StoreError> {
        Ok((A::from_row(row)?, B::from_row(row)?))
    }
}

/// A struct that can be written as a row of a set.
pub(crate) trait ToRow: Sized {
    /// The names of its columns.
    const COLUMNS: &'static [&'static str];

    /// The columns of these rows.
    fn columns(rows: Vec<Self>) -> Result<Vec<Column>, StoreError>;
}

/// Reads a row column by column.
pub(crate) struct Reader<'r> {
    row: &'r dyn Cells,
    next: usize,
}

impl<'r> Reader<'r> {
    pub(super) fn new(row: &'r Row) -> Self {
        Self {
            row: row.cells(),
            next: 0,
        }
    }

    /// The next column, which is this column of this table.
    pub(crate) fn cell<T: FromCell>(&mut self, table: &str, column: &str) -> Result<T, StoreError> {
        let index = self.next;
        self.next += 1;
        debug_assert_eq!(self.row.name(index), Some(column), "column {index}");
        T::from_cell(self.row, index).map_err(|fault| StoreError::CorruptRow {
            column: format!("{table}.{column}"),
            detail: fault.to_string(),
        })
    }

    /// The only column, which is one of this table, named as the statement names it.
    pub(super) fn only<T: FromCell>(&self, table: &str) -> Result<T, StoreError> {
        T::from_cell(self.row, 0).map_err(|fault| StoreError::CorruptRow {
            column: format!("{table}.{}", self.row.name(0).unwrap_or_default()),
            detail: fault.to_string(),
        })
    }
}

/// A set of rows, bound as one parameter of one statement.
///
/// In the statement's text stands `{rows}` where a table would stand. A statement over an empty
/// set is not sent: it would find or change nothing.
#[derive(Clone, Debug)]
pub(crate) struct Rows<R> {
    rows: Vec<R>,
    sent_when_empty: bool,
}

impl<R> Rows<R> {
    /// Returns true if this is so of any row.
    pub(crate) fn any(&self, is_so: impl Fn(&R) -> bool) -> bool {
        self.rows.iter().any(is_so)
    }

    /// The same set for a statement that has something to say about an empty set too, such as
    /// one with `NOT IN`.
    pub(crate) fn sent_when_empty(mut self) -> Self {
        self.sent_when_empty = true;
        self
    }
}

impl<R> FromIterator<R> for Rows<R> {
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Self {
        Self {
            rows: rows.into_iter().collect(),
            sent_when_empty: false,
        }
    }
}

/// A row of a set with one column, `key`.
pub(crate) struct Keyed<T>(T);

/// A set of values: rows with one column, `key`.
pub(crate) fn keys<T: IntoCell>(values: impl IntoIterator<Item = T>) -> Rows<Keyed<T>> {
    values.into_iter().map(Keyed).collect()
}

impl<T: IntoCell> ToRow for Keyed<T> {
    const COLUMNS: &'static [&'static str] = &["key"];

    fn columns(rows: Vec<Self>) -> Result<Vec<Column>, StoreError> {
        let cells = rows.into_iter().map(|row| row.0.into_cell());
        Ok(vec![T::Stored::column(cells.collect::<Result<_, _>>()?)])
    }
}

/// Whatever can be bound to a parameter.
pub(crate) trait Bind {
    /// The value to bind.
    fn bind(self) -> Result<Value, StoreError>;
}

impl<T: IntoCell> Bind for T {
    fn bind(self) -> Result<Value, StoreError> {
        self.into_cell().map(T::Stored::value)
    }
}

impl<R: ToRow> Bind for Rows<R> {
    fn bind(self) -> Result<Value, StoreError> {
        let count = self.rows.len();
        Ok(Value::Rows(Batch {
            names: R::COLUMNS,
            columns: R::columns(self.rows)?,
            count,
            sent_when_empty: self.sent_when_empty,
        }))
    }
}

/// The binds of one statement, in order. An error if a document could not be written.
pub(crate) type Binds = Result<Vec<Value>, StoreError>;

/// Collects binds; see [`binds!`].
pub(crate) fn collect(binds: Vec<Result<Value, StoreError>>) -> Binds {
    binds.into_iter().collect()
}

/// Binds for one statement, in order: `binds![rows, app, now]`.
macro_rules! binds {
    ($($value:expr),* $(,)?) => {
        $crate::store::record::collect(vec![$($crate::store::record::Bind::bind($value)),*])
    };
}
pub(crate) use binds;

/// Makes a struct a row. Its fields are the columns.
///
/// - `struct New<'a> { … }` declares a row of a set that is written.
/// - `struct Found from "table" { … }` declares a row that is read. The table is named when a
///   column holds what cannot be read.
/// - `impl Grant from "table" { … }` reads a struct that is declared elsewhere.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident from $table:literal {
            $($(#[$note:meta])* $seen:vis $field:ident: $type:ty),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$note])* $seen $field: $type),* }

        $crate::store::record::record! { impl $name from $table { $($field),* } }
    };
    (impl $name:ident from $table:literal { $($field:ident),* $(,)? }) => {
        impl $crate::store::record::FromRow for $name {
            fn from_row(
                row: &mut $crate::store::record::Reader<'_>,
            ) -> Result<Self, $crate::store::StoreError> {
                Ok(Self { $($field: row.cell($table, stringify!($field))?),* })
            }
        }
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(<$life:lifetime>)? {
            $($(#[$note:meta])* $seen:vis $field:ident: $type:ty),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name $(<$life>)? { $($(#[$note])* $seen $field: $type),* }

        impl $(<$life>)? $crate::store::record::ToRow for $name $(<$life>)? {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn columns(
                rows: Vec<Self>,
            ) -> Result<Vec<$crate::store::driver::Column>, $crate::store::StoreError> {
                use $crate::store::cell::{Stored, IntoCell};
                // One vector a column, named as its field.
                $(let mut $field = Vec::with_capacity(rows.len());)*
                for row in rows {
                    $($field.push(row.$field.into_cell()?);)*
                }
                Ok(vec![$(<<$type as IntoCell>::Stored as Stored>::column($field)),*])
            }
        }
    };
}
pub(crate) use record;
