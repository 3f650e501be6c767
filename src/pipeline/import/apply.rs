//! Carries out a table that has no fault, some lines in each transaction.

use std::io::Read;
use std::time::Duration;

use super::line::{Column, Fault, Line};
use super::table::{Table, TableError};
use super::totals::Totals;
use crate::domain::customer::profile::ProfileChange;
use crate::pipeline::customers::{CustomerError, get_or_make_in};
use crate::pipeline::grants::{GrantError, grant_in};
use crate::pipeline::order::Order;
use crate::pipeline::package_texts::PackageTextError;
use crate::pipeline::tokens::{TokenError, take_over_in};
use crate::store::{Store, StoreError, Tx};

/// Lines of one transaction: few enough that a server which uses the store waits well below a second.
const LINES_AT_ONCE: usize = 200;

/// The rest between two transactions, in which others get the store.
const REST: Duration = Duration::from_millis(5);

/// Why an import stopped. What it did before stays; run again, it goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The store changed since the file was checked, and a line does not fit any more.
    #[error("{0}")]
    Line(Fault),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// There was no randomness.
    #[error("no id could be made")]
    Random(#[from] crate::random::RandomError),
}

/// Carries out every line of a table, and counts what was made, and the grants that
/// were changed. `progress` is told the number of lines that are done.
///
/// # Errors
/// See [`ImportError`].
pub async fn carry_out<R: Read + Send>(
    store: &Store,
    order: impl Fn() -> Order + Send,
    table: &mut Table<R>,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Totals, ImportError> {
    let mut totals = Totals::default();
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
        let mut tx = store.begin_in(&order.app).await?;
        for line in lines {
            apply(&mut tx, &order, line, &mut totals).await?;
        }
        tx.commit().await?;
        progress(totals.lines);
        tokio::time::sleep(REST).await;
    }
}

async fn apply(
    tx: &mut Tx,
    order: &Order,
    line: Line,
    totals: &mut Totals,
) -> Result<(), ImportError> {
    let number = line.number;
    let fault = |column, message: String| {
        ImportError::Line(Fault {
            line: number,
            column,
            message,
        })
    };
    totals.lines += 1;
    let made = get_or_make_in(tx, order, &line.customer).await;
    let (customer, is_new) = made.map_err(|error| match error {
        CustomerError::Store(error) => error.into(),
        CustomerError::Random(error) => error.into(),
        error => fault(Some(named_by(&line.customer)), error.to_string()),
    })?;
    totals.customers.made += u64::from(is_new);
    if let Some((column, token)) = line.token {
        let home = tx.token_holder(&token.hash()).await?;
        let is_own = home.is_some_and(|it| it.app == order.app && it.customer == customer);
        if !is_own {
            let taken = take_over_in(tx, order, &customer, &token).await;
            taken.map_err(|error| match error {
                TokenError::Store(error) => error.into(),
                TokenError::Random(error) => error.into(),
                error => fault(Some(column), error.to_string()),
            })?;
            totals.tokens.made += 1;
        }
    }
    if let Some(grant) = line.grant {
        let given = grant_in(tx, order, &customer, grant).await;
        let given = given.map_err(|error| match error {
            GrantError::Store(error) | GrantError::Package(PackageTextError::Store(error)) => {
                error.into()
            }
            GrantError::Package(PackageTextError::Invalid { .. }) => fault(
                Some(Column::Package),
                "and the constraint cannot be read any more".to_owned(),
            ),
            error => fault(Some(Column::Package), error.to_string()),
        })?;
        match given {
            it if it.is_new => totals.grants.made += 1,
            it if it.changed => totals.grants.changed += 1,
            _ => {}
        }
    }
    Ok(())
}

fn named_by(customer: &ProfileChange) -> Column {
    if customer.external_id.is_some() {
        Column::ExternalId
    } else {
        Column::Email
    }
}
