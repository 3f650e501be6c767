//! Licences: what is written of them.

use super::license::SealedLicenseKey;
use super::license_maker::SealedKey;
use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::access::license::{License, Revocation};
use crate::domain::id::{AppSlug, LicenseId};

record! {
    struct ResealedKey<'a> {
        id: &'a LicenseId,
        was: Vec<u8>,
        becomes: Vec<u8>,
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
        key: &SealedKey,
    ) -> Result<bool, StoreError> {
        let sql = r"
            INSERT INTO licenses (
                id, app, customer_id, product, metadata, created_at, expires_at, activations_limit,
                key_hash, key_made, sealed_key
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (app, key_hash) DO NOTHING
        ";
        let binds = binds![
            &license.id,
            app,
            &license.customer,
            &license.product,
            &license.metadata,
            license.created_at,
            license.expires_at,
            license.activations_limit,
            &key.hash,
            key.is_made,
            key.sealed.clone(),
        ];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// Writes what can be changed of a licence, but for its revocation and its key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_change(
        &mut self,
        app: &AppSlug,
        license: &License,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE licenses
            SET expires_at = $3, activations_limit = $4, metadata = $5
            WHERE app = $1 AND id = $2
        ";
        let binds = binds![
            app,
            &license.id,
            license.expires_at,
            license.activations_limit,
            &license.metadata,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Puts another key in the place of a licence's.
    ///
    /// # Errors
    /// When the database does not answer, or another licence of the app has this key.
    pub async fn license_rekey(
        &mut self,
        app: &AppSlug,
        id: &LicenseId,
        key: &SealedKey,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE licenses
            SET key_hash = $3, key_made = $4, sealed_key = $5
            WHERE app = $1 AND id = $2
        ";
        let binds = binds![app, id, &key.hash, key.is_made, key.sealed.clone()];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes a licence.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_delete(
        &mut self,
        app: &AppSlug,
        id: &LicenseId,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM licenses WHERE app = $1 AND id = $2";
        self.execute(sql, binds![app, id]).await?;
        Ok(())
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

    /// Puts newly sealed keys in the place of those that they were made from. Returns how many were
    /// still there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn license_reseal(
        &mut self,
        keys: &[(SealedLicenseKey, Vec<u8>)],
    ) -> Result<u64, StoreError> {
        let rows = keys.iter().map(|(from, to)| ResealedKey {
            id: &from.id,
            was: from.sealed_key.clone(),
            becomes: to.clone(),
        });
        let rows: Rows<ResealedKey<'_>> = rows.collect();
        let sql = r"
            UPDATE licenses
            SET sealed_key = new.becomes
            FROM {rows} AS new
            WHERE licenses.id = new.id AND licenses.sealed_key = new.was
        ";
        self.execute(sql, binds![rows]).await
    }
}
