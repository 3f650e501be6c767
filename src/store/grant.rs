//! Grants by hand. They belong to the row that they were given to, and count for the customer
//! that this row belongs to now.

use std::collections::BTreeMap;

use super::cell::Nanos;
use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::access::plan::PackageGrant;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;

/// A grant by hand, and to whom it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenGrant {
    /// The row that it was given to.
    pub given_to: CustomerId,
    /// The grant.
    pub grant: HandGrant,
    /// Time at which it was given or changed, by the local clock.
    pub created_at: Timestamp,
}

record! {
    struct GrantRow from "grants" {
        shown: CustomerId,
        customer_id: CustomerId,
        package: String,
        version_constraint: String,
        billing: GrantBilling,
        expires_at: Option<Timestamp>,
        created_at: Timestamp,
    }
}

record! {
    struct NewGivenGrant<'a> {
        customer_id: &'a CustomerId,
        package: &'a str,
        version_constraint: &'a str,
        billing: GrantBilling,
        expires_at: Option<Nanos>,
    }
}

record! {
    struct NewGrant<'a> {
        package: &'a str,
        version_constraint: &'a str,
        billing: GrantBilling,
        expires_at: Option<Nanos>,
    }
}

impl From<GrantRow> for GivenGrant {
    fn from(row: GrantRow) -> Self {
        Self {
            given_to: row.customer_id,
            grant: HandGrant {
                grant: PackageGrant {
                    package: row.package,
                    constraint: row.version_constraint,
                },
                billing: row.billing,
                expires_at: row.expires_at,
            },
            created_at: row.created_at,
        }
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
    ) -> Result<BTreeMap<CustomerId, Vec<GivenGrant>>, StoreError> {
        let sql = r"
            WITH wanted AS (SELECT key FROM {rows} AS given)
            SELECT
                COALESCE(holders.merged_into, holders.id) AS shown,
                grants.customer_id, grants.package, grants.version_constraint, grants.billing,
                grants.expires_at, grants.created_at
            FROM wanted
            JOIN customers AS holders
                ON holders.app = $2 AND COALESCE(holders.merged_into, holders.id) = wanted.key
            JOIN grants ON grants.app = $2 AND grants.customer_id = holders.id
            ORDER BY grants.package, grants.customer_id
        ";
        let rows: Vec<GrantRow> = self.fetch(sql, binds![keys(customers), app]).await?;
        let mut grants: BTreeMap<CustomerId, Vec<GivenGrant>> = BTreeMap::new();
        for row in rows {
            let shown = row.shown.clone();
            grants.entry(shown).or_default().push(row.into());
        }
        Ok(grants)
    }

    /// Loads the grants by hand of the rows of a working set.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn working_set_hand_grants(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
    ) -> Result<(), StoreError> {
        // Rows that are merged into others are loaded with these.
        let sql = r"
            SELECT
                grants.customer_id AS shown, grants.customer_id, grants.package,
                grants.version_constraint, grants.billing, grants.expires_at, grants.created_at
            FROM {rows} AS wanted
            JOIN grants ON grants.app = $2 AND grants.customer_id = wanted.key
            ORDER BY grants.package
        ";
        let rows = keys(working_set.customers.keys());
        let rows: Vec<GrantRow> = self.fetch(sql, binds![rows, app]).await?;
        for grant in rows.into_iter().map(GivenGrant::from) {
            let grants = working_set.hand_grants.entry(grant.given_to).or_default();
            grants.push(grant.grant);
        }
        Ok(())
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
        grants: &[HandGrant],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // One row for each package, the last word on it: a statement may not write a row twice.
        let last: BTreeMap<&str, &HandGrant> = grants
            .iter()
            .map(|it| (it.grant.package.as_str(), it))
            .collect();
        let rows: Rows<NewGrant<'_>> = last
            .into_values()
            .map(|it| NewGrant {
                package: &it.grant.package,
                version_constraint: &it.grant.constraint,
                billing: it.billing,
                expires_at: it.expires_at.map(Nanos),
            })
            .collect();
        let sql = r"
            INSERT INTO grants (
                app, customer_id, package, version_constraint, billing, expires_at, created_at
            )
            SELECT $2, $3, package, version_constraint, billing, expires_at, $4
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, customer_id, package) DO UPDATE SET
                version_constraint = excluded.version_constraint,
                billing = excluded.billing,
                expires_at = excluded.expires_at,
                created_at = excluded.created_at
        ";
        self.execute(sql, binds![rows, app, customer, now]).await?;
        Ok(())
    }

    /// Grants packages to many customers' rows, each at most once.
    ///
    /// # Errors
    /// When the database does not answer, or a row does not exist.
    pub async fn grants_put(
        &mut self,
        app: &AppSlug,
        grants: &[(CustomerId, HandGrant)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = grants.iter().map(|(customer, it)| NewGivenGrant {
            customer_id: customer,
            package: &it.grant.package,
            version_constraint: &it.grant.constraint,
            billing: it.billing,
            expires_at: it.expires_at.map(Nanos),
        });
        let rows: Rows<NewGivenGrant<'_>> = rows.collect();
        let sql = r"
            INSERT INTO grants (
                app, customer_id, package, version_constraint, billing, expires_at, created_at
            )
            SELECT $2, customer_id, package, version_constraint, billing, expires_at, $3
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, customer_id, package) DO UPDATE SET
                version_constraint = excluded.version_constraint,
                billing = excluded.billing,
                expires_at = excluded.expires_at,
                created_at = excluded.created_at
        ";
        self.execute(sql, binds![rows, app, now]).await?;
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
