//! Grants by hand. They belong to the row that they were given to, and count for the customer
//! that this row belongs to now.

use std::collections::BTreeMap;

use serde_json::json;

use super::customer::rows_of;
use super::driver::{Batch, Kind, binds};
use super::{StoreError, Tx};
use crate::domain::access::plan::PackageGrant;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;

/// A grant by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandGrant {
    /// The row that it was given to.
    pub given_to: CustomerId,
    /// What it grants.
    pub grant: PackageGrant,
    /// When it was given or changed, by the local clock.
    pub created_at: Timestamp,
}

impl Tx {
    /// The grants by hand of some customers, those of rows merged into theirs included, by the
    /// customer that is shown; by package. Customers without any are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn grant_list(
        &mut self,
        app: &AppSlug,
        customers: impl IntoIterator<Item = &CustomerId> + Send,
    ) -> Result<BTreeMap<CustomerId, Vec<HandGrant>>, StoreError> {
        let sql = "WITH wanted AS (SELECT key FROM {rows} AS given) \
                   SELECT COALESCE(holders.merged_into, holders.id) AS shown, \
                   grants.customer_id, grants.package, grants.version_constraint, \
                   grants.created_at FROM wanted JOIN customers AS holders \
                   ON holders.app = $2 \
                   AND COALESCE(holders.merged_into, holders.id) = wanted.key \
                   JOIN grants ON grants.app = $2 AND grants.customer_id = holders.id \
                   ORDER BY grants.package, grants.customer_id";
        let rows = self
            .fetch(sql, binds![Batch::keys(customers), app.as_str()])
            .await?;
        let mut grants: BTreeMap<CustomerId, Vec<HandGrant>> = BTreeMap::new();
        for row in rows {
            let grant = HandGrant {
                given_to: row.parsed("customer_id")?,
                grant: PackageGrant {
                    package: row.text("package")?,
                    constraint: row.text("version_constraint")?,
                },
                created_at: row.time("created_at")?,
            };
            grants.entry(row.parsed("shown")?).or_default().push(grant);
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
        if grants.is_empty() {
            return Ok(());
        }
        let mut rows = Batch::new(&[("package", Kind::Text), ("version_constraint", Kind::Text)]);
        // One row for each package, the last word on it: a statement may not write a row twice.
        let last: BTreeMap<&str, &PackageGrant> =
            grants.iter().map(|it| (it.package.as_str(), it)).collect();
        for grant in last.into_values() {
            rows.row([json!(grant.package), json!(grant.constraint)]);
        }
        let sql = "INSERT INTO grants (app, customer_id, package, version_constraint, created_at) \
                   SELECT $2, $3, package, version_constraint, $4 FROM {rows} AS new WHERE true \
                   ON CONFLICT (app, customer_id, package) DO UPDATE SET \
                   version_constraint = excluded.version_constraint, \
                   created_at = excluded.created_at";
        self.execute(sql, binds![rows, app.as_str(), customer.as_str(), now])
            .await?;
        Ok(())
    }

    /// Takes grants of these packages away from a customer, whichever of its rows has them; how
    /// many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn grant_delete(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        packages: impl IntoIterator<Item = &str> + Send,
    ) -> Result<u64, StoreError> {
        let sql = format!(
            "DELETE FROM grants WHERE app = $2 \
             AND package IN (SELECT key FROM {{rows}} AS gone) AND customer_id IN ({})",
            rows_of("$2", "$3")
        );
        let rows = Batch::keys(packages);
        self.execute(&sql, binds![rows, app.as_str(), customer.as_str()])
            .await
    }
}
