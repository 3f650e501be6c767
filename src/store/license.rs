//! Licences of customers.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::customer_rows::rows_of;
use super::filter::Filter;
use super::page::{Key, Listed, Window};
use super::record::{binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::license::{License, LicenseSource, LicenseStatus, Revocation};
use crate::domain::access::license_key::{KeyHash, TypedKey};
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, LicenseId, ObjectKey};
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
    pub key: Option<TypedKey>,
}

/// A licence as it lies in the store.
#[derive(Clone, Debug)]
pub struct SealedLicense {
    /// The licence.
    pub license: License,
    /// What its key is found by.
    pub key_hash: KeyHash,
    /// Its key, as the vault sealed it.
    pub sealed: Vec<u8>,
}

record! {
    struct LicenseRow from "licenses" {
        id: LicenseId,
        customer_id: CustomerId,
        product: String,
        metadata: Map<String, Value>,
        created_at: Timestamp,
        expires_at: Option<Timestamp>,
        activations_limit: Option<u32>,
        revoked_at: Option<Timestamp>,
        revoked_reason: Option<String>,
        source: Option<ObjectKey>,
        plan: Option<String>,
        key_hash: KeyHash,
        sealed_key: Vec<u8>,
    }
}

impl From<LicenseRow> for SealedLicense {
    fn from(row: LicenseRow) -> Self {
        let reason = row.revoked_reason;
        let license = License {
            id: row.id,
            customer: row.customer_id,
            product: row.product,
            metadata: row.metadata,
            created_at: row.created_at,
            expires_at: row.expires_at,
            activations_limit: row.activations_limit,
            revoked: row.revoked_at.map(|at| Revocation { at, reason }),
            source: (row.source.zip(row.plan)).map(|(object, plan)| LicenseSource { object, plan }),
        };
        Self {
            license,
            key_hash: row.key_hash,
            sealed: row.sealed_key,
        }
    }
}

/// The sealed key of a licence.
#[derive(Clone, Debug)]
pub struct SealedLicenseKey {
    /// The licence.
    pub id: LicenseId,
    /// Its app.
    pub app: AppSlug,
    /// The key, as the vault sealed it.
    pub sealed_key: Vec<u8>,
}

record! {
    impl SealedLicenseKey from "licenses" { id, app, sealed_key }
}

record! {
    struct HolderRow from "customers" {
        id: CustomerId,
        kept: Customer,
    }
}

impl Tx {
    /// Finds a licence.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_find(
        &mut self,
        app: &AppSlug,
        id: &LicenseId,
    ) -> Result<Option<SealedLicense>, StoreError> {
        let sql = r"
            SELECT
                id, customer_id, product, metadata, created_at, expires_at, activations_limit,
                revoked_at, revoked_reason, source, plan, key_hash, sealed_key
            FROM licenses
            WHERE app = $1 AND id = $2
        ";
        let found: Option<LicenseRow> = self.fetch_opt(sql, binds![app, id]).await?;
        Ok(found.map(SealedLicense::from))
    }

    /// Finds the licence with a key: the one whose key it is to the byte, before one whose key was
    /// made here and reads as this.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_find_by_key(
        &mut self,
        app: &AppSlug,
        key: &TypedKey,
    ) -> Result<Option<SealedLicense>, StoreError> {
        let sql = r"
            SELECT
                id, customer_id, product, metadata, created_at, expires_at, activations_limit,
                revoked_at, revoked_reason, source, plan, key_hash, sealed_key
            FROM licenses
            WHERE app = $1 AND key_hash IN ($2, $3) AND (key_hash = $2 OR key_made)
            ORDER BY CASE WHEN key_hash = $2 THEN 0 ELSE 1 END
            LIMIT 1
        ";
        let binds = binds![app, &key.exact, &key.made];
        let found: Option<LicenseRow> = self.fetch_opt(sql, binds).await?;
        Ok(found.map(SealedLicense::from))
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
    ) -> Result<Listed<SealedLicense>, StoreError> {
        let mut filter = Filter::new("app = ?", app);
        if let Some(customer) = &wanted.customer {
            filter.and(&format!("customer_id IN ({})", rows_of("?")), customer);
        }
        if let Some(product) = &wanted.product {
            filter.and("product = ?", product);
        }
        if let Some(key) = &wanted.key {
            match self.license_find_by_key(app, key).await? {
                Some(found) => filter.and("id = ?", &found.license.id),
                None => filter.and_plain("id IS NULL"),
            }
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
                id, customer_id, product, metadata, created_at, expires_at, activations_limit,
                revoked_at, revoked_reason, source, plan, key_hash, sealed_key
            FROM licenses
        ";
        let id = |row: &LicenseRow| row.id.to_string();
        let list = self.list(select, filter, Key::Id("id"), window, id);
        Ok(list.await?.map(SealedLicense::from))
    }

    /// Lists the sealed keys of some licences of all apps, from an id on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_list_sealed(
        &mut self,
        after: &str,
        limit: i64,
    ) -> Result<Vec<SealedLicenseKey>, StoreError> {
        let sql = r"
            SELECT id, app, sealed_key FROM licenses
            WHERE id > $1
            ORDER BY id
            LIMIT $2
        ";
        self.fetch(sql, binds![after, limit]).await
    }

    /// Counts the licences of all apps.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_count_all(&mut self) -> Result<i64, StoreError> {
        let sql = "SELECT COUNT(*) AS n FROM licenses";
        let count: Option<i64> = self.fetch_value("counts", sql, binds![]).await?;
        Ok(count.unwrap_or_default())
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
