//! Parts of long lists.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::driver::Value;
use super::filter::Filter;
use super::record::{Bind, Binds, FromRow};
use super::{StoreError, Tx};

/// The part of a list that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// A page of a known number, with the count of the whole.
    Page {
        /// Counted from 1.
        number: u32,
        /// Rows a page.
        size: u32,
    },
    /// The rows behind a row. Costs the same however deep the walk is, so nothing is counted.
    Walk {
        /// The key of the last row seen; `None` at the start.
        after: Option<String>,
        /// Rows at most.
        size: u32,
    },
}

/// The place of a row in a list that is in memory as a whole.
pub trait Position: Ord + Serialize + DeserializeOwned {}

impl<P: Ord + Serialize + DeserializeOwned> Position for P {}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows, in the list's order.
    pub rows: Vec<T>,
    /// The number of rows of the whole list; only for pages.
    pub total: Option<u64>,
    /// The key from which a walk goes on; `None` at its end, and for pages.
    pub next: Option<String>,
}

impl<T> Listed<T> {
    /// The same part of a list of something else.
    pub(crate) fn map<U>(self, into: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            rows: self.rows.into_iter().map(into).collect(),
            total: self.total,
            next: self.next,
        }
    }

    /// Part of a list that is in memory as a whole, because it is short by nature, in the order of
    /// the positions, which must be different for all rows. A walk goes on behind a position,
    /// whether or not its row is still there.
    ///
    /// # Errors
    /// When the walk is to go on behind what is no position.
    pub fn of<P: Position>(
        mut all: Vec<T>,
        window: &Window,
        position: impl Fn(&T) -> P,
    ) -> Result<Self, StoreError> {
        all.sort_by_cached_key(&position);
        Ok(match window {
            Window::Page { number, size } => {
                let total = Some(all.len() as u64);
                let (skip, size) = (offset(*number, *size), *size as usize);
                let skip = usize::try_from(skip).unwrap_or(usize::MAX);
                let rows = all.into_iter().skip(skip).take(size).collect();
                Self {
                    rows,
                    total,
                    next: None,
                }
            }
            Window::Walk { after, size } => {
                let start = match after {
                    Some(after) => {
                        let after = serde_json::from_str(after).map_err(|_| StoreError::Cursor)?;
                        all.partition_point(|row| position(row) <= after)
                    }
                    None => 0,
                };
                let size = *size as usize;
                let more = all.len() > start + size;
                let rows: Vec<T> = all.into_iter().skip(start).take(size).collect();
                let last = rows.last().filter(|_| more).map(position);
                let next = last.map(|last| serde_json::to_string(&last));
                let next = next.transpose();
                Self {
                    rows,
                    total: None,
                    next: next.map_err(|source| StoreError::Document { source })?,
                }
            }
        })
    }
}

fn offset(number: u32, size: u32) -> i64 {
    i64::from(number.saturating_sub(1)) * i64::from(size)
}

/// The column that a list's order and its cursor rest on: unique, newest last.
#[derive(Clone, Copy)]
pub(super) enum Key {
    /// A column of ids that are made here, such as `cust_` and 32 hex digits.
    Id(&'static str),
    /// Any other text column.
    Text(&'static str),
    /// A whole number.
    Number(&'static str),
}

impl Key {
    const fn column(self) -> &'static str {
        match self {
            Self::Id(column) | Self::Text(column) | Self::Number(column) => column,
        }
    }

    fn bind(self, cursor: &str) -> Result<Value, StoreError> {
        match self {
            Self::Id(_) if !is_id(cursor) => Err(StoreError::Cursor),
            Self::Id(_) | Self::Text(_) => cursor.bind(),
            Self::Number(_) => {
                let number: Result<i64, _> = cursor.parse();
                number.map_err(|_| StoreError::Cursor)?.bind()
            }
        }
    }
}

/// Reports whether a text has the form of the ids that are made here.
fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(_, digits)| {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        digits.len() == 32 && digits.bytes().all(is_hex)
    })
}

impl Tx {
    /// Part of a list, newest first. `select` is `SELECT … FROM …`; `cursor` is the key of a row
    /// as text.
    pub(super) async fn list<R: FromRow>(
        &mut self,
        select: &str,
        mut filter: Filter,
        key: Key,
        window: &Window,
        cursor: impl Fn(&R) -> String,
    ) -> Result<Listed<R>, StoreError> {
        let column = key.column();
        match window {
            Window::Page { number, size } => {
                let binds = filter.binds?;
                filter.binds = Ok(binds.clone());
                let total = self.count(select, &filter.counted(), Ok(binds)).await?;
                let limit = filter.bind(i64::from(*size).bind());
                let skipped = filter.bind(offset(*number, *size).bind());
                let descending = format!("{column} DESC");
                let conditions = filter.first(&descending, &format!("({limit} + {skipped})"));
                let sql = format!(
                    "{select} WHERE {conditions} ORDER BY {descending} LIMIT {limit} OFFSET {skipped}"
                );
                Ok(Listed {
                    rows: self.fetch(&sql, filter.binds).await?,
                    total: Some(total),
                    next: None,
                })
            }
            Window::Walk { after, size } => {
                if let Some(after) = after {
                    let after = filter.bind(key.bind(after));
                    filter.and_plain(&format!("{column} < {after}"));
                }
                // One more than wanted tells whether anything follows.
                let limit = filter.bind((i64::from(*size) + 1).bind());
                let descending = format!("{column} DESC");
                let conditions = filter.first(&descending, &limit);
                let sql =
                    format!("{select} WHERE {conditions} ORDER BY {descending} LIMIT {limit}");
                let mut rows: Vec<R> = self.fetch(&sql, filter.binds).await?;
                let more = rows.len() > *size as usize;
                rows.truncate(*size as usize);
                let next = rows.last().filter(|_| more).map(cursor);
                Ok(Listed {
                    rows,
                    total: None,
                    next,
                })
            }
        }
    }

    /// The first rows of a list in the order of a column, lowest first.
    pub(super) async fn first<R: FromRow>(
        &mut self,
        select: &str,
        mut filter: Filter,
        column: &str,
        most: u32,
    ) -> Result<Vec<R>, StoreError> {
        let limit = filter.bind(most.bind());
        let conditions = filter.first(column, &limit);
        let sql = format!("{select} WHERE {conditions} ORDER BY {column} LIMIT {limit}");
        self.fetch(&sql, filter.binds).await
    }

    /// Counts the rows of a whole list.
    pub(super) async fn count_all(
        &mut self,
        select: &str,
        filter: Filter,
    ) -> Result<u64, StoreError> {
        self.count(select, &filter.counted(), filter.binds).await
    }

    async fn count(
        &mut self,
        select: &str,
        conditions: &str,
        binds: Binds,
    ) -> Result<u64, StoreError> {
        let (_, from) = select.split_once("FROM ").unwrap_or(("", select));
        let sql = format!("SELECT COUNT(*) AS n FROM {from} WHERE {conditions}");
        let count: Option<u64> = self.fetch_value("counts", &sql, binds).await?;
        Ok(count.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;

    fn pages(all: &[i32], number: u32, size: u32) -> Listed<i32> {
        let window = Window::Page { number, size };
        Listed::of(all.to_vec(), &window, |row| Reverse(*row)).unwrap()
    }

    #[test]
    fn pages_cut_a_list_and_count_it() {
        let all = [5, 4, 3, 2, 1];
        assert_eq!(pages(&all, 1, 2).rows, [5, 4]);
        assert_eq!(pages(&all, 3, 2).rows, [1]);
        assert_eq!(pages(&all, 4, 2).rows, [0; 0]);
        assert_eq!(pages(&all, u32::MAX, 100).total, Some(5));
    }

    #[test]
    fn a_walk_sees_every_row_once_and_ends() {
        let all = vec![5, 4, 3, 2, 1];
        let mut seen = Vec::new();
        let mut after = None;
        for _ in 0..10 {
            let window = Window::Walk { after, size: 2 };
            let part = Listed::of(all.clone(), &window, |row| Reverse(*row)).unwrap();
            seen.extend(part.rows);
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
        assert_eq!(after, None);
    }

    #[test]
    fn a_walk_goes_on_where_a_row_has_gone() {
        let walk = |all: &[i32], after: Option<&str>| {
            let after = after.map(str::to_owned);
            let window = Window::Walk { after, size: 2 };
            Listed::of(all.to_vec(), &window, |row| Reverse(*row))
        };
        let first = walk(&[5, 4, 3, 2, 1], None).unwrap();
        assert_eq!((first.rows, first.next.as_deref()), (vec![5, 4], Some("4")));
        assert_eq!(walk(&[5, 3, 2, 1], Some("4")).unwrap().rows, [3, 2]);
        assert_eq!(walk(&[2, 1], Some("4")).unwrap().rows, [2, 1]);
        assert_eq!(walk(&[9, 8], Some("4")).unwrap().rows, [0; 0]);
        assert!(matches!(walk(&[5], Some("x")), Err(StoreError::Cursor)));
    }
}
