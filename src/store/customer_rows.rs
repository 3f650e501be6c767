//! The rows of one customer: its own, and those that were merged into it.

use std::collections::BTreeSet;

use super::record::binds;
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, CustomerId};

impl Tx {
    /// Returns the rows that stand for a customer of an app.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn customer_rows(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
    ) -> Result<BTreeSet<CustomerId>, StoreError> {
        let binds = binds![app, customer];
        self.fetch_values("customers", &rows_of("$2"), binds).await
    }
}

/// A subquery of the rows that stand for a customer of the app `$1`. `id` is a parameter such as `$2`.
pub(super) fn rows_of(id: &str) -> String {
    // The id itself stands there for customers that were deleted: events still name it.
    format!(
        r"
        SELECT CAST({id} AS TEXT)
        UNION ALL
        SELECT id FROM customers WHERE app = $1 AND COALESCE(merged_into, id) = {id}
        "
    )
}
