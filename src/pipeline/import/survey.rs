//! Checks a table against the store and against itself, and changes nothing.

use std::io::Read;

use super::error::ImportError;
use super::found::Found;
use super::line::Fault;
use super::people::Known;
use super::table::{Table, TableError};
use super::totals::{LINES_AT_ONCE, MAX_LINES, MOST_NAMED, Surveyed, Totals};
use crate::domain::access::token::TokenHash;
use crate::pipeline::order::Order;
use crate::store::Store;

/// Checks a table. `reserved` is the token of the settings, which no customer may have; `progress` is
/// told the number of lines that were checked.
///
/// # Errors
/// When the table cannot be read at all, or the store failed.
pub async fn survey<R: Read + Send>(
    store: &Store,
    order: &Order,
    reserved: Option<TokenHash>,
    table: &mut Table<R>,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Surveyed, ImportError> {
    let mut known = Known::new(reserved);
    let mut surveyed = Surveyed::default();
    loop {
        let mut lines = Vec::with_capacity(LINES_AT_ONCE);
        let mut read = 0;
        while read < LINES_AT_ONCE
            && let Some(line) = table.next()?
        {
            read += 1;
            known.totals.lines += 1;
            if known.totals.lines > MAX_LINES {
                return Err(TableError::TooLong.into());
            }
            match line {
                Ok(line) => lines.push(line),
                Err(faults) => surveyed.note(faults),
            }
        }
        if read == 0 {
            surveyed.end(known.totals);
            return Ok(surveyed);
        }
        let mut tx = store.read().await?;
        let found = Found::look_up(&mut tx, &order.app, &lines).await?;
        for line in lines {
            if let Err(faults) = known.check(&mut tx, order, &found, line).await? {
                surveyed.note(faults);
            }
        }
        progress(known.totals.lines);
    }
}

impl Surveyed {
    fn note(&mut self, faults: Vec<Fault>) {
        self.fault_count += u64::try_from(faults.len()).unwrap_or_default();
        // Those of lines that cannot be read by themselves are found first in each part of the file.
        self.faults.extend(faults);
        if self.faults.len() > 2 * MOST_NAMED {
            self.keep_first();
        }
    }

    fn keep_first(&mut self) {
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        self.faults.truncate(MOST_NAMED);
    }

    fn end(&mut self, totals: Totals) {
        self.keep_first();
        self.totals = totals;
    }
}
