//! Licences of customers.

use std::collections::BTreeMap;

use super::customer::rows_of;
use super::driver::{Batch, Row, Value, binds};
use super::page::{Filter, Key, Listed, Window};
use super::{StoreError, Tx, document};
use crate::domain::access::license::{License, LicenseStatus, Revocation};
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, LicenseId};
use crate::domain::time::Timestamp;

/// Which licences a list shows. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct LicenseFilter {
    /// Whose; rows merged into it count.
    pub customer: Option<CustomerId>,
    /// The whole name of the product.
    pub product: Option<String>,
    /// What they are by themselves, at an instant.
    pub status: Option<(LicenseStatus, Timestamp)>,
    /// The whole key.
    pub key: Option<String>,
}

const SELECT: &str = "SELECT id, customer_id, product, key, metadata, created_at, expires_at, \
                      revoked_at, revoked_reason FROM licenses";

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
        let sql = "INSERT INTO licenses (id, app, customer_id, product, key, metadata, \
                   created_at, expires_at, revoked_at, revoked_reason) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, NULL) \
                   ON CONFLICT (app, key) DO NOTHING";
        let binds = binds![
            license.id.as_str(),
            app.as_str(),
            license.customer.as_str(),
            license.product.as_str(),
            license.key.as_str(),
            Value::Json(document(&license.metadata)?),
            license.created_at,
            license.expires_at,
        ];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// A licence.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_find(
        &mut self,
        app: &AppSlug,
        id: &LicenseId,
    ) -> Result<Option<License>, StoreError> {
        let sql = format!("{SELECT} WHERE app = $1 AND id = $2");
        let row = self
            .fetch_opt(&sql, binds![app.as_str(), id.as_str()])
            .await?;
        row.as_ref().map(license_of).transpose()
    }

    /// The licence with a key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_find_by_key(
        &mut self,
        app: &AppSlug,
        key: &str,
    ) -> Result<Option<License>, StoreError> {
        let sql = format!("{SELECT} WHERE app = $1 AND key = $2");
        let row = self.fetch_opt(&sql, binds![app.as_str(), key]).await?;
        row.as_ref().map(license_of).transpose()
    }

    /// Licences of an app, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_list(
        &mut self,
        app: &AppSlug,
        wanted: &LicenseFilter,
        window: &Window,
    ) -> Result<Listed<License>, StoreError> {
        let mut filter = Filter::new("app = ?", app.as_str());
        if let Some(customer) = &wanted.customer {
            let rows = format!("customer_id IN ({})", rows_of("$1", "?"));
            filter.and(&rows, customer.as_str());
        }
        if let Some(product) = &wanted.product {
            filter.and("product = ?", product.as_str());
        }
        if let Some(key) = &wanted.key {
            filter.and("key = ?", key.as_str());
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
        self.list(SELECT, filter, Key::Text("id"), window, license_of)
            .await
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
        let sql = "UPDATE licenses SET revoked_at = $3, revoked_reason = $4 \
                   WHERE app = $1 AND id = $2";
        let binds = binds![
            app.as_str(),
            id.as_str(),
            revoked.map(|it| it.at),
            revoked.and_then(|it| it.reason.as_deref()),
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// The customers that some rows belong to now, by the row's id: themselves, or those that
    /// they were merged into.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customers_of_rows(
        &mut self,
        app: &AppSlug,
        rows: impl IntoIterator<Item = &CustomerId> + Send,
    ) -> Result<BTreeMap<CustomerId, Customer>, StoreError> {
        let sql = "SELECT given.id, shown.kept FROM {rows} AS wanted \
                   JOIN customers AS given ON given.id = wanted.key \
                   JOIN customers AS shown ON shown.id = COALESCE(given.merged_into, given.id) \
                   WHERE given.app = $2";
        let found = self
            .fetch(sql, binds![Batch::keys(rows), app.as_str()])
            .await?;
        found
            .iter()
            .map(|row| Ok((row.parsed("id")?, row.json("kept")?)))
            .collect()
    }
}

fn license_of(row: &Row) -> Result<License, StoreError> {
    let reason = row.text_opt("revoked_reason")?;
    Ok(License {
        id: row.parsed("id")?,
        customer: row.parsed("customer_id")?,
        product: row.text("product")?,
        key: row.text("key")?,
        metadata: row.json("metadata")?,
        created_at: row.time("created_at")?,
        expires_at: row.time_opt("expires_at")?,
        revoked: row
            .time_opt("revoked_at")?
            .map(|at| Revocation { at, reason }),
    })
}
