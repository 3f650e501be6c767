//! Packages by their names, how their versions are read, and their holders.

use std::collections::BTreeSet;

use super::customer::{LIST, cursor_of};
use super::filter::Filter;
use super::page::{Key, Listed, Window};
use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::versions::{Scheme, Schemes};
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId};

/// A package that releases, plans or grants by hand name, or that is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPackage {
    /// Its name.
    pub package: String,
    /// The number of its known releases.
    pub releases: i64,
    /// How its versions are read.
    pub scheme: Scheme,
}

record! {
    impl NamedPackage from "packages" { package, releases, scheme }
}

record! {
    struct Declared from "packages" {
        package: String,
        versions: Scheme,
    }
}

/// A constraint on the versions of a package, as grants by hand have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedConstraint {
    /// The constraint.
    pub constraint_text: String,
    /// One of the customers who have it.
    pub customer: CustomerId,
    /// How many have it.
    pub customers: i64,
}

record! {
    impl GrantedConstraint from "grants" { constraint_text, customer, customers }
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
                UNION
                SELECT package FROM packages WHERE app = $1
            )
            SELECT
                named.package, COALESCE(released.n, 0) AS releases,
                COALESCE(declared.versions, 'composer') AS scheme
            FROM named
            LEFT JOIN released ON released.package = named.package
            LEFT JOIN packages AS declared
                ON declared.app = $1 AND declared.package = named.package
            ORDER BY named.package
        ";
        self.fetch(sql, binds![app]).await
    }

    /// Finds one of the packages that are listed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn package_named(
        &mut self,
        app: &AppSlug,
        package: &str,
    ) -> Result<Option<NamedPackage>, StoreError> {
        let sql = r"
            SELECT
                CAST($2 AS TEXT) AS package,
                (SELECT COUNT(*) FROM releases WHERE app = $1 AND package = $2) AS releases,
                COALESCE(
                    (SELECT versions FROM packages WHERE app = $1 AND package = $2), 'composer'
                ) AS scheme
            WHERE EXISTS (SELECT 1 FROM packages WHERE app = $1 AND package = $2)
                OR EXISTS (SELECT 1 FROM releases WHERE app = $1 AND package = $2)
                OR EXISTS (SELECT 1 FROM plan_packages WHERE app = $1 AND package = $2)
                OR EXISTS (SELECT 1 FROM grants WHERE app = $1 AND package = $2)
        ";
        self.fetch_opt(sql, binds![app, package]).await
    }

    /// Reads how the versions of some packages are read, as far as that is declared.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn package_schemes(
        &mut self,
        app: &AppSlug,
        packages: &BTreeSet<String>,
    ) -> Result<Schemes, StoreError> {
        let sql = r"
            SELECT packages.package, packages.versions
            FROM {rows} AS wanted
            JOIN packages ON packages.app = $2 AND packages.package = wanted.key
        ";
        let declared: Vec<Declared> = self.fetch(sql, binds![keys(packages), app]).await?;
        let declared = declared.into_iter().map(|it| (it.package, it.versions));
        Ok(declared.collect())
    }

    /// Finds how the versions of a package are read, if that is declared.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn package_find(
        &mut self,
        app: &AppSlug,
        package: &str,
    ) -> Result<Option<Scheme>, StoreError> {
        let sql = "SELECT versions FROM packages WHERE app = $1 AND package = $2";
        self.fetch_value("packages", sql, binds![app, package])
            .await
    }

    /// Counts the packages that are declared.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn package_count(&mut self, app: &AppSlug) -> Result<u64, StoreError> {
        let filter = Filter::new("app = ?", app);
        self.count_all("SELECT package FROM packages", filter).await
    }

    /// Declares how the versions of a package are read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn package_put(
        &mut self,
        app: &AppSlug,
        package: &str,
        scheme: Scheme,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO packages (app, package, versions)
            VALUES ($1, $2, $3)
            ON CONFLICT (app, package) DO UPDATE SET versions = excluded.versions
        ";
        self.execute(sql, binds![app, package, scheme]).await?;
        Ok(())
    }

    /// Removes the declaration of a package.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn package_delete(&mut self, app: &AppSlug, package: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM packages WHERE app = $1 AND package = $2";
        self.execute(sql, binds![app, package]).await?;
        Ok(())
    }

    /// Lists the constraints with which a package is granted by hand, each once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn package_constraints(
        &mut self,
        app: &AppSlug,
        package: &str,
    ) -> Result<Vec<GrantedConstraint>, StoreError> {
        let sql = r"
            SELECT
                version_constraint AS constraint_text, MIN(customer_id) AS customer,
                COUNT(*) AS customers
            FROM grants
            WHERE app = $1 AND package = $2
            GROUP BY version_constraint
            ORDER BY version_constraint
        ";
        self.fetch(sql, binds![app, package]).await
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
