//! Parts of long lists.

use super::driver::{Row, Value, binds};
use super::{StoreError, Tx};

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// A page of a known number, with the count of the whole.
    Page {
        /// Counted from 1.
        number: u32,
        /// Rows a page.
        size: u32,
    },
    /// What follows a row. Costs the same however deep the walk is, so nothing is counted.
    Walk {
        /// The key of the last row seen; `None` at the start.
        after: Option<String>,
        /// Rows at most.
        size: u32,
    },
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows, in the list's order.
    pub rows: Vec<T>,
    /// How many rows the whole list has; only for pages.
    pub total: Option<u64>,
    /// Where a walk goes on; `None` at its end, and for pages.
    pub next: Option<String>,
}

impl<T> Listed<T> {
    /// Part of a list that is in memory as a whole, because it is short by nature. `key` names a
    /// row for walks and must be unique.
    pub fn of(all: Vec<T>, window: &Window, key: impl Fn(&T) -> String) -> Self {
        match window {
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
                let start = after.as_ref().map_or(0, |after| {
                    let found = all.iter().position(|row| key(row) == *after);
                    found.map_or(all.len(), |index| index + 1)
                });
                let size = *size as usize;
                let more = all.len() > start + size;
                let rows: Vec<T> = all.into_iter().skip(start).take(size).collect();
                let next = rows.last().filter(|_| more).map(key);
                Self {
                    rows,
                    total: None,
                    next,
                }
            }
        }
    }
}

fn offset(number: u32, size: u32) -> i64 {
    i64::from(number.saturating_sub(1)) * i64::from(size)
}

/// The conditions of a list, joined by `AND`.
pub(super) struct Filter {
    conditions: Vec<String>,
    binds: Vec<Value>,
}

impl Filter {
    /// No condition: everything.
    pub(super) fn all() -> Self {
        Self {
            conditions: vec!["1 = 1".to_owned()],
            binds: Vec::new(),
        }
    }

    /// The condition that every list has. `?` stands for the value.
    pub(super) fn new(condition: &str, value: impl Into<Value>) -> Self {
        let mut filter = Self {
            conditions: Vec::new(),
            binds: Vec::new(),
        };
        filter.and(condition, value);
        filter
    }

    /// One more condition. Every `?` stands for the value.
    pub(super) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.binds.push(value.into());
        self.conditions
            .push(condition.replace('?', &format!("${}", self.binds.len())));
    }

    /// One more condition without a value.
    pub(super) fn and_plain(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    fn sql(&self) -> String {
        self.conditions.join(" AND ")
    }
}

/// What a list's order and its cursor rest on: a unique column, newest last.
#[derive(Clone, Copy)]
pub(super) enum Key {
    /// A text column.
    Text(&'static str),
    /// A whole number.
    Number(&'static str),
}

impl Key {
    const fn column(self) -> &'static str {
        match self {
            Self::Text(column) | Self::Number(column) => column,
        }
    }

    fn bind(self, cursor: &str) -> Value {
        match self {
            Self::Text(_) => cursor.into(),
            // A cursor that was not ours: nothing follows it.
            Self::Number(_) => cursor.parse().unwrap_or(i64::MIN).into(),
        }
    }

    fn cursor(self, row: &Row) -> Result<String, StoreError> {
        match self {
            Self::Text(column) => row.text(column),
            Self::Number(column) => Ok(row.int(column)?.to_string()),
        }
    }
}

impl Tx {
    /// Part of a list, newest first. `select` is `SELECT … FROM …`, with the key's column among
    /// those selected.
    pub(super) async fn list<T>(
        &mut self,
        select: &str,
        mut filter: Filter,
        key: Key,
        window: &Window,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Listed<T>, StoreError> {
        let column = key.column();
        match window {
            Window::Page { number, size } => {
                let total = self.count(select, &filter).await?;
                let (conditions, next) = (filter.sql(), filter.binds.len() + 1);
                let sql = format!(
                    "{select} WHERE {conditions} ORDER BY {column} DESC LIMIT ${next} OFFSET ${}",
                    next + 1
                );
                filter
                    .binds
                    .extend(binds![i64::from(*size), offset(*number, *size)]);
                let rows = self.fetch(&sql, filter.binds).await?;
                let rows = rows.iter().map(read).collect::<Result<_, _>>()?;
                Ok(Listed {
                    rows,
                    total: Some(total),
                    next: None,
                })
            }
            Window::Walk { after, size } => {
                if let Some(after) = after {
                    filter.and(&format!("{column} < ?"), key.bind(after));
                }
                let (conditions, next) = (filter.sql(), filter.binds.len() + 1);
                let sql =
                    format!("{select} WHERE {conditions} ORDER BY {column} DESC LIMIT ${next}");
                // One more than wanted tells whether anything follows.
                filter.binds.extend(binds![i64::from(*size) + 1]);
                let mut found = self.fetch(&sql, filter.binds).await?;
                let more = found.len() > *size as usize;
                found.truncate(*size as usize);
                let last = found.last().filter(|_| more);
                let next = last.map(|row| key.cursor(row)).transpose()?;
                let rows = found.iter().map(read).collect::<Result<_, _>>()?;
                Ok(Listed {
                    rows,
                    total: None,
                    next,
                })
            }
        }
    }

    /// The first rows of a list in the order of a column, lowest first.
    pub(super) async fn first<T>(
        &mut self,
        select: &str,
        mut filter: Filter,
        column: &str,
        most: u32,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let (conditions, next) = (filter.sql(), filter.binds.len() + 1);
        let sql = format!("{select} WHERE {conditions} ORDER BY {column} LIMIT ${next}");
        filter.binds.extend(binds![i64::from(most)]);
        self.fetch(&sql, filter.binds)
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// How many rows the whole list has.
    pub(super) async fn count(&mut self, select: &str, filter: &Filter) -> Result<u64, StoreError> {
        let (_, from) = select.split_once(" FROM ").unwrap_or(("", select));
        let sql = format!("SELECT COUNT(*) AS n FROM {from} WHERE {}", filter.sql());
        let row = self.fetch_opt(&sql, filter.binds.clone()).await?;
        let count = row.map_or(Ok(0), |row| row.int("n"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(all: &[i32], number: u32, size: u32) -> Listed<i32> {
        Listed::of(
            all.to_vec(),
            &Window::Page { number, size },
            ToString::to_string,
        )
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
            let part = Listed::of(all.clone(), &window, ToString::to_string);
            seen.extend(part.rows);
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
        assert_eq!(after, None);
    }
}
