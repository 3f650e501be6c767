//! Licences of customers.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::customer::rows_of;
use super::page::{Filter, Key, Listed, Window};
use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::license::{License, LicenseStatus, Revocation};
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, LicenseId};
use crate::domain::time::Timestamp;

/// The licences that a list shows. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct LicenseFilter {
    /// Their holder; rows merged into it count.
    pub customer: Option<CustomerId>,
    /// The whole name of the product.
    pub product: Option<String>,
    /// Their own status, at an instant.
    pub status: Option<(LicenseStatus, Timestamp)>,
    /// The whole key.
    pub key: Option<String>,
}

record! {
    struct LicenseRow from "licenses" {
        id: LicenseId,
        customer_id: CustomerId,
        product: String,
        key: String,
        metadata: Map<String, Value>,
        created_at: Timestamp,
        expires_at: Option<Timestamp>,
        revoked_at: Option<Timestamp>,
        revoked_reason: Option<String>,
    }
}

impl From<LicenseRow> for License {
    fn from(row: LicenseRow) -> Self {
        let reason = row.revoked_reason;
        Self {
            id: row.id,
            customer: row.customer_id,
            product: row.product,
            key: row.key,
            metadata: row.metadata,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked: row.revoked_at.map(|at| Revocation { at, reason }),
        }
    }
}

record! {
    struct HolderRow from "customers" {
        id: CustomerId,
        kept: Customer,
    }
}

impl Tx {
    /// Adds a licence to a customer's row; `false` if its key is taken in this app.
    ///
    /// # Errors
    /// When the database does not answer, or there is no such row.
    pub async fn license_add(
        &mut self,
        app: &AppSlug,
        license: &License,
    ) -> Result<bool, StoreError> {
        let sql = r"
            INSERT INTO licenses (
                id, app, customer_id, product, key, metadata, created_at, expires_at, revoked_at,
                revoked_reason
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, NULL)
            ON CONFLICT (app, key) DO NOTHING
        ";
        let binds = binds![
            &license.id,
            app,
            &license.customer,
            &license.product,
            &license.key,
            &license.metadata,
            license.created_at,
            license.expires_at,
        ];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// Finds a licence.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_find(
        &mut self,
        app: &AppSlug,
        id: &LicenseId,
    ) -> Result<Option<License>, StoreError> {
        let sql = r"
            SELECT
                id, customer_id, product, key, metadata, created_at, expires_at, revoked_at,
                revoked_reason
            FROM licenses
            WHERE app = $1 AND id = $2
        ";
        let found: Option<LicenseRow> = self.fetch_opt(sql, binds![app, id]).await?;
        Ok(found.map(License::from))
    }

    /// Finds the licence with a key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_find_by_key(
        &mut self,
        app: &AppSlug,
        key: &str,
    ) -> Result<Option<License>, StoreError> {
        let sql = r"
            SELECT
                id, customer_id, product, key, metadata, created_at, expires_at, revoked_at,
                revoked_reason
            FROM licenses
            WHERE app = $1 AND key = $2
        ";
        let found: Option<LicenseRow> = self.fetch_opt(sql, binds![app, key]).await?;
        Ok(found.map(License::from))
    }

    /// Counts the licences of a customer, those of the rows that were merged into its row included.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_count(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
    ) -> Result<u64, StoreError> {
        let mut filter = Filter::new("app = ?", app);
        filter.and(&format!("customer_id IN ({})", rows_of("?")), customer);
        self.count_all("SELECT id FROM licenses", filter).await
    }

    /// Lists licences of an app, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_list(
        &mut self,
        app: &AppSlug,
        wanted: &LicenseFilter,
        window: &Window,
    ) -> Result<Listed<License>, StoreError> {
        let mut filter = Filter::new("app = ?", app);
        if let Some(customer) = &wanted.customer {
            filter.and(&format!("customer_id IN ({})", rows_of("?")), customer);
        }
        if let Some(product) = &wanted.product {
            filter.and("product = ?", product);
        }
        if let Some(key) = &wanted.key {
            filter.and("key = ?", key);
        }
        match wanted.status {
            Some((LicenseStatus::Revoked, _)) => filter.and_plain("revoked_at IS NOT NULL"),
            Some((LicenseStatus::Expired, now)) => {
                filter.and("revoked_at IS NULL AND expires_at <= ?", now);
            }
            Some((LicenseStatus::Active, now)) => {
                let active = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)";
                filter.and(active, now);
            }
            None => {}
        }
        let select = r"
            SELECT
                id, customer_id, product, key, metadata, created_at, expires_at, revoked_at,
                revoked_reason
            FROM licenses
        ";
        let id = |row: &LicenseRow| row.id.to_string();
        let list = self.list(select, filter, Key::Id("id"), window, id);
        Ok(list.await?.map(License::from))
    }

    /// Takes a licence back, or gives it back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_revoke(
        &mut self,
        app: &AppSlug,
        id: &LicenseId,
        revoked: Option<&Revocation>,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE licenses
            SET revoked_at = $3, revoked_reason = $4
            WHERE app = $1 AND id = $2
        ";
        let reason = revoked.and_then(|it| it.reason.as_deref());
        let binds = binds![app, id, revoked.map(|it| it.at), reason];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Finds the customers that some rows belong to now, by the row's id: themselves, or those
    /// that they were merged into.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customers_of_rows(
        &mut self,
        app: &AppSlug,
        rows: impl IntoIterator<Item = &CustomerId> + Send,
    ) -> Result<BTreeMap<CustomerId, Customer>, StoreError> {
        let sql = r"
            SELECT given.id, shown.kept
            FROM {rows} AS wanted
            JOIN customers AS given ON given.id = wanted.key
            JOIN customers AS shown ON shown.id = COALESCE(given.merged_into, given.id)
            WHERE given.app = $2
        ";
        let found: Vec<HolderRow> = self.fetch(sql, binds![keys(rows), app]).await?;
        Ok(found.into_iter().map(|row| (row.id, row.kept)).collect())
    }
}
