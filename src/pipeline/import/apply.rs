//! Carries out a table that has no fault, some lines in each transaction.

use std::collections::HashSet;
use std::io::Read;
use std::mem;
use std::time::Duration;

use super::error::ImportError;
use super::found::Found;
use super::people::Known;
use super::table::Table;
use super::totals::{LINES_AT_ONCE, Totals};
use super::write::write;
use crate::domain::access::token::TokenHash;
use crate::pipeline::order::Order;
use crate::store::Store;

/// The rest between two transactions, in which others get the store.
const REST: Duration = Duration::from_millis(5);

/// Carries out every line of a table, and counts what was made and changed. `progress` is told the
/// number of lines that are done.
///
/// Each part of the table is checked once more, in the transaction that writes it: whoever changed the
/// store since the survey keeps what he did.
///
/// # Errors
/// See [`ImportError`].
pub async fn carry_out<R: Read + Send>(
    store: &Store,
    order: impl Fn() -> Order + Send,
    reserved: Option<TokenHash>,
    table: &mut Table<R>,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Totals, ImportError> {
    let mut totals = Totals::default();
    let mut readable = HashSet::new();
    loop {
        let mut lines = Vec::with_capacity(LINES_AT_ONCE);
        while lines.len() < LINES_AT_ONCE
            && let Some(line) = table.next()?
        {
            lines.push(line.map_err(|mut faults| ImportError::Line(faults.remove(0)))?);
        }
        if lines.is_empty() {
            return Ok(totals);
        }
        let order = order();
        let mut known = Known::new(reserved);
        known.keeps_profiles = true;
        known.readable = mem::take(&mut readable);
        known.totals.lines = u64::try_from(lines.len()).unwrap_or_default();
        let mut tx = store.begin_in(&order.app).await?;
        let found = Found::look_up(&mut tx, &order.app, &lines).await?;
        let mut steps = Vec::with_capacity(lines.len());
        for line in lines {
            let step = known.check(&mut tx, &order, &found, line).await?;
            steps.push(step.map_err(|mut faults| ImportError::Line(faults.remove(0)))?);
        }
        totals.add(&known.totals);
        readable = mem::take(&mut known.readable);
        write(&mut tx, &order, &found, known.people, steps).await?;
        tx.commit().await?;
        progress(totals.lines);
        tokio::time::sleep(REST).await;
    }
}
