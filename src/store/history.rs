//! What is kept by the day: customers by status, refused signatures.

use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;

record! {
    /// Refused signatures of an endpoint, for one reason.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RefusedSignatures from "refused_signatures" {
        /// Of which provider.
        pub provider: Provider,
        /// The code of the refusal.
        pub reason: String,
        /// How many.
        pub count: u64,
        /// When the last came.
        pub last_at: Timestamp,
    }
}

record! {
    /// How many customers had a status on a day.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CustomerDay from "customer_days" {
        /// The day, since 1970, in UTC.
        pub day: i64,
        /// The status.
        pub status: String,
        /// How many.
        pub customers: u64,
    }
}

record! {
    #[derive(Debug)]
    struct CountRow from "customers" {
        app: AppSlug,
        status: String,
        customers: i64,
    }
}

record! {
    struct NewDay<'a> {
        app: &'a AppSlug,
        status: &'a str,
        customers: i64,
    }
}

/// Customers of all apps, by app and status, as they were counted.
#[derive(Debug)]
pub(crate) struct CustomerCounts(Vec<CountRow>);

impl Tx {
    /// Sums the refused signatures of an app, from a day on, by provider and reason.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refused_signatures(
        &mut self,
        app: &AppSlug,
        from_day: i64,
    ) -> Result<Vec<RefusedSignatures>, StoreError> {
        // One engine's sum of whole numbers is a decimal.
        let sql = r"
            SELECT provider, reason, CAST(SUM(count) AS BIGINT) AS count, MAX(last_at) AS last_at
            FROM refused_signatures
            WHERE app = $1 AND day >= $2
            GROUP BY provider, reason
            ORDER BY provider, reason
        ";
        self.fetch(sql, binds![app, from_day]).await
    }

    /// Returns the last day of which customers were counted; `None` before the first.
    pub(crate) async fn customer_days_last(&mut self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT MAX(day) AS day FROM customer_days";
        let last: Option<Option<i64>> = self.fetch_value("customer_days", sql, binds![]).await?;
        Ok(last.flatten())
    }

    /// Counts the customers of all apps that are shown, by app and status.
    pub(crate) async fn customer_days_count(&mut self) -> Result<CustomerCounts, StoreError> {
        let sql = r"
            SELECT app, status, COUNT(*) AS customers
            FROM customers
            WHERE merged_into IS NULL AND deleted_at IS NULL
            GROUP BY app, status
        ";
        Ok(CustomerCounts(self.fetch(sql, binds![]).await?))
    }

    /// Keeps the counts of a day, unless another worker has.
    pub(crate) async fn customer_days_put(
        &mut self,
        day: i64,
        counts: &CustomerCounts,
    ) -> Result<(), StoreError> {
        let rows = counts.0.iter().map(|row| NewDay {
            app: &row.app,
            status: &row.status,
            customers: row.customers,
        });
        let rows: Rows<NewDay<'_>> = rows.collect();
        let sql = r"
            INSERT INTO customer_days (app, day, status, customers)
            SELECT app, $2, status, customers
            FROM {rows} AS new
            WHERE app IN (SELECT slug FROM apps)
            ON CONFLICT (app, day, status) DO NOTHING
        ";
        self.execute(sql, binds![rows, day]).await?;
        Ok(())
    }

    /// Lists the days of an app, from one on, the first first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_days(
        &mut self,
        app: &AppSlug,
        from_day: i64,
    ) -> Result<Vec<CustomerDay>, StoreError> {
        let sql = r"
            SELECT day, status, customers
            FROM customer_days
            WHERE app = $1 AND day >= $2
            ORDER BY day, status
        ";
        self.fetch(sql, binds![app, from_day]).await
    }

    /// Removes what is older than these days: counts of customers, refused signatures.
    pub(crate) async fn history_purge(
        &mut self,
        customers_before: i64,
        signatures_before: i64,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM customer_days WHERE day < $1";
        self.execute(sql, binds![customers_before]).await?;
        // All of it: a few rows of each endpoint.
        let sql = "DELETE FROM refused_signatures WHERE day < $1";
        self.execute(sql, binds![signatures_before]).await?;
        Ok(())
    }
}
