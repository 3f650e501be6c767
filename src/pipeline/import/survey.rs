//! Checks a table against the store and against itself, and changes nothing.

use std::io::Read;

use super::apply::ImportError;
use super::line::{Column, Fault, Line};
use super::people::Known;
use super::table::{Table, TableError};
use super::totals::{MAX_LINES, MOST_NAMED, Surveyed};
use crate::pipeline::order::Order;
use crate::store::{Store, StoreError, Tx};

/// Lines that are checked against one picture of the store.
const LINES_AT_ONCE: u64 = 500;

/// Checks a table. `progress` is told the number of lines that were checked.
///
/// # Errors
/// When the table cannot be read at all, or the store failed.
pub async fn survey<R: Read + Send>(
    store: &Store,
    order: &Order,
    table: &mut Table<R>,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Surveyed, ImportError> {
    let mut known = Known::default();
    let mut faults = Vec::new();
    let mut fault_count: u64 = 0;
    let mut tx = store.read().await?;
    while let Some(line) = table.next()? {
        known.totals.lines += 1;
        if known.totals.lines > MAX_LINES {
            return Err(TableError::TooLong.into());
        }
        let found = match line {
            Ok(line) => known.check(&mut tx, order, line).await?,
            Err(found) => found,
        };
        fault_count += u64::try_from(found.len()).unwrap_or_default();
        let room = MOST_NAMED.saturating_sub(faults.len());
        faults.extend(found.into_iter().take(room));
        if known.totals.lines.is_multiple_of(LINES_AT_ONCE) {
            progress(known.totals.lines);
            drop(tx);
            tx = store.read().await?;
        }
    }
    Ok(Surveyed {
        totals: known.totals,
        faults,
        fault_count,
    })
}

impl Known {
    async fn check(
        &mut self,
        tx: &mut Tx,
        order: &Order,
        line: Line,
    ) -> Result<Vec<Fault>, StoreError> {
        let number = line.number;
        let mut wrong: Vec<(Column, String)> = Vec::new();
        let person = match self.person(tx, order, &line).await? {
            Ok(person) => Some(person),
            Err(fault) => {
                wrong.push(fault);
                None
            }
        };
        if let Some((column, token)) = &line.token
            && let Err(message) = self.token(tx, &order.app, token, person).await?
        {
            wrong.push((*column, message));
        }
        if let Some(grant) = &line.grant {
            wrong.extend(self.grant(tx, &order.app, grant, person, number).await?);
        }
        let faults = wrong.into_iter().map(|(column, message)| Fault {
            line: number,
            column: Some(column),
            message,
        });
        Ok(faults.collect())
    }
}
