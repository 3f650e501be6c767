//! Packages by their names, and their holders.

use super::customer::{LIST, cursor_of};
use super::page::{Filter, Key, Listed, Window};
use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::customer::row::Customer;
use crate::domain::id::AppSlug;

/// A package that releases, plans or grants by hand name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPackage {
    /// `vendor/name`.
    pub package: String,
    /// The number of its known releases.
    pub releases: i64,
}

record! {
    impl NamedPackage from "packages" { package, releases }
}

impl Tx {
    /// Lists all packages of an app, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn package_list(&mut self, app: &AppSlug) -> Result<Vec<NamedPackage>, StoreError> {
        // Grants are as many as customers and name few packages: from each name to the next.
        let sql = r"
            WITH RECURSIVE granted (package) AS (
                SELECT MIN(package) FROM grants WHERE app = $1
                UNION ALL
                SELECT (
                    SELECT MIN(grants.package) FROM grants
                    WHERE grants.app = $1 AND grants.package > granted.package
                )
                FROM granted
                WHERE granted.package IS NOT NULL
            ),
            released AS (
                SELECT package, COUNT(*) AS n FROM releases WHERE app = $1 GROUP BY package
            ),
            named AS (
                SELECT package FROM granted WHERE package IS NOT NULL
                UNION
                SELECT package FROM plan_packages WHERE app = $1
                UNION
                SELECT package FROM released
            )
            SELECT named.package, COALESCE(released.n, 0) AS releases
            FROM named
            LEFT JOIN released ON released.package = named.package
            ORDER BY named.package
        ";
        self.fetch(sql, binds![app]).await
    }

    /// Lists active and frozen customers who were granted a package, by hand or by what they pay
    /// for, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn package_holders(
        &mut self,
        app: &AppSlug,
        package: &str,
        window: &Window,
    ) -> Result<Listed<Customer>, StoreError> {
        let mut filter = Filter::new("app = ?", app);
        filter.and_plain("deleted_at IS NULL");
        filter.and_plain("status IN ('active', 'frozen')");
        // `CROSS JOIN` lets SQLite, which knows nothing of sizes, begin with the plans.
        let holders = r"id IN (
            SELECT COALESCE(given.merged_into, given.id)
            FROM grants
            JOIN customers AS given ON given.id = grants.customer_id
            WHERE grants.app = $1 AND grants.package = ?
            UNION
            SELECT paid.customer_id
            FROM plan_packages AS bought
            CROSS JOIN entitlements AS paid
            WHERE bought.app = $1
                AND bought.package = ?
                AND paid.app = bought.app
                AND paid.provider = bought.provider
                AND paid.plan = bought.price_id
                AND paid.plan <> ''
        )";
        filter.and(holders, package);
        let list = self.list(LIST, filter, Key::Id("id"), window, cursor_of);
        Ok(list.await?.map(Customer::from))
    }
}
