//! Grants by hand. They belong to the row that they were given to, and count for the customer
//! that this row belongs to now.

use std::collections::BTreeMap;

use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::plan::PackageGrant;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;

/// A grant by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandGrant {
    /// The row that it was given to.
    pub given_to: CustomerId,
    /// The package and its versions.
    pub grant: PackageGrant,
    /// Time at which it was given or changed, by the local clock.
    pub created_at: Timestamp,
}

record! {
    struct GrantRow from "grants" {
        shown: CustomerId,
        customer_id: CustomerId,
        package: String,
        version_constraint: String,
        created_at: Timestamp,
    }
}

record! {
    struct NewGrant<'a> {
        package: &'a str,
        version_constraint: &'a str,
    }
}

impl Tx {
    /// Lists the grants by hand of some customers, those of rows merged into theirs included, by
    /// the customer that is shown; by package. Customers without any are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn grant_list(
        &mut self,
        app: &AppSlug,
        customers: impl IntoIterator<Item = &CustomerId> + Send,
    ) -> Result<BTreeMap<CustomerId, Vec<HandGrant>>, StoreError> {
        let sql = r"
            WITH wanted AS (SELECT key FROM {rows} AS given)
            SELECT
                COALESCE(holders.merged_into, holders.id) AS shown,
                grants.customer_id, grants.package, grants.version_constraint, grants.created_at
            FROM wanted
            JOIN customers AS holders
                ON holders.app = $2 AND COALESCE(holders.merged_into, holders.id) = wanted.key
            JOIN grants ON grants.app = $2 AND grants.customer_id = holders.id
            ORDER BY grants.package, grants.customer_id
        ";
        let rows: Vec<GrantRow> = self.fetch(sql, binds![keys(customers), app]).await?;
        let mut grants: BTreeMap<CustomerId, Vec<HandGrant>> = BTreeMap::new();
        for row in rows {
            let grant = HandGrant {
                given_to: row.customer_id,
                grant: PackageGrant {
                    package: row.package,
                    constraint: row.version_constraint,
                },
                created_at: row.created_at,
            };
            grants.entry(row.shown).or_default().push(grant);
        }
        Ok(grants)
    }

    /// Grants packages to a customer's row. A package that it has already gets the new
    /// constraint.
    ///
    /// # Errors
    /// When the database does not answer, or there is no such row.
    pub async fn grant_put(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        grants: &[PackageGrant],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // One row for each package, the last word on it: a statement may not write a row twice.
        let last: BTreeMap<&str, &PackageGrant> =
            grants.iter().map(|it| (it.package.as_str(), it)).collect();
        let rows: Rows<NewGrant<'_>> = last
            .into_values()
            .map(|grant| NewGrant {
                package: &grant.package,
                version_constraint: &grant.constraint,
            })
            .collect();
        let sql = r"
            INSERT INTO grants (app, customer_id, package, version_constraint, created_at)
            SELECT $2, $3, package, version_constraint, $4
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, customer_id, package) DO UPDATE SET
                version_constraint = excluded.version_constraint,
                created_at = excluded.created_at
        ";
        self.execute(sql, binds![rows, app, customer, now]).await?;
        Ok(())
    }

    /// Takes grants of these packages away from a customer, whichever of its rows has them.
    /// Returns how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn grant_delete(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        packages: impl IntoIterator<Item = &str> + Send,
    ) -> Result<u64, StoreError> {
        let sql = r"
            DELETE FROM grants
            WHERE app = $1
                AND package IN (SELECT key FROM {rows} AS gone)
                AND customer_id IN (
                    SELECT CAST($2 AS TEXT)
                    UNION ALL
                    SELECT id FROM customers WHERE app = $1 AND COALESCE(merged_into, id) = $2
                )
        ";
        self.execute(sql, binds![app, customer, keys(packages)])
            .await
    }
}
