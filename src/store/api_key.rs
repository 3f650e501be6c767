//! Keys of the providers' APIs, sealed by the [`Vault`](crate::vault::Vault), and whose turn it is to
//! ask with them.

use std::collections::BTreeSet;

use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::time::Timestamp;

/// A key as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedApiKey {
    /// Of which app.
    pub app: AppSlug,
    /// Of which provider.
    pub provider: Provider,
    /// The key itself, as the vault sealed it.
    pub sealed: Vec<u8>,
    /// True if the settings of the servers say it, so that it is changed only there.
    pub of_settings: bool,
    /// Time at which it was set, by the local clock.
    pub created_at: Timestamp,
}

record! {
    impl SealedApiKey from "api_keys" { app, provider, sealed, of_settings, created_at }
}

impl Tx {
    /// Finds the key of an app for a provider.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key_find(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<Option<SealedApiKey>, StoreError> {
        let sql = r"
            SELECT app, provider, sealed, of_settings, created_at
            FROM api_keys
            WHERE app = $1 AND provider = $2
        ";
        self.fetch_opt(sql, binds![app, provider]).await
    }

    /// Lists the keys of all apps.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key_list_all(&mut self) -> Result<Vec<SealedApiKey>, StoreError> {
        let sql = r"
            SELECT app, provider, sealed, of_settings, created_at
            FROM api_keys
            ORDER BY app, provider
        ";
        self.fetch(sql, binds![]).await
    }

    /// Returns the providers that an app has a key for.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key_providers(
        &mut self,
        app: &AppSlug,
    ) -> Result<BTreeSet<Provider>, StoreError> {
        let sql = "SELECT provider FROM api_keys WHERE app = $1";
        self.fetch_values("api_keys", sql, binds![app]).await
    }

    /// Sets a key, in place of the one that is there. The turn stays with whoever has it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key_put(&mut self, key: &SealedApiKey) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO api_keys (app, provider, sealed, of_settings, created_at, leased_until)
            VALUES ($1, $2, $3, $4, $5, $5)
            ON CONFLICT (app, provider) DO UPDATE SET
                sealed = excluded.sealed,
                of_settings = excluded.of_settings,
                created_at = excluded.created_at
        ";
        let binds = binds![
            &key.app,
            key.provider,
            key.sealed.clone(),
            key.of_settings,
            key.created_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes a key; `false` if there was none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key_delete(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM api_keys WHERE app = $1 AND provider = $2";
        Ok(self.execute(sql, binds![app, provider]).await? > 0)
    }

    /// Puts a newly sealed key in the place of another one of the same app; `false` if it is no
    /// longer there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key_reseal(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE api_keys
            SET sealed = $4
            WHERE app = $1 AND provider = $2 AND sealed = $3
        ";
        Ok(self.execute(sql, binds![app, provider, from, to]).await? > 0)
    }

    /// Finds a key with which something is to be asked and that nobody is asking with: the one whose
    /// turn was longest ago. Those of apps that are paused wait. A lease beyond `longest` was given by a clock that was ahead, and is not
    /// heeded.
    pub(crate) async fn api_key_due(
        &mut self,
        now: Timestamp,
        longest: Timestamp,
    ) -> Result<Option<SealedApiKey>, StoreError> {
        let sql = r"
            SELECT app, provider, sealed, of_settings, created_at
            FROM api_keys
            WHERE (leased_until <= $1 OR leased_until > $2)
                AND app NOT IN (SELECT app FROM pauses WHERE ended_at IS NULL)
                AND EXISTS (
                    SELECT 1
                    FROM refetches
                    WHERE refetches.app = api_keys.app
                        AND refetches.provider = api_keys.provider
                        AND refetches.ended_at IS NULL
                        AND refetches.next_at <= $1
                )
            ORDER BY leased_until, app, provider
            LIMIT 1
        ";
        self.fetch_opt(sql, binds![now, longest]).await
    }

    /// Takes the turn to ask with a key. One statement, so that of several workers one gets it.
    pub(crate) async fn api_key_lease(
        &mut self,
        key: &SealedApiKey,
        now: Timestamp,
        until: Timestamp,
        longest: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE api_keys
            SET leased_until = $4
            WHERE app = $1 AND provider = $2 AND (leased_until <= $3 OR leased_until > $5)
        ";
        let binds = binds![&key.app, key.provider, now, until, longest];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// Gives the turn back, to be taken from some time on.
    pub(crate) async fn api_key_release(
        &mut self,
        key: &SealedApiKey,
        from: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE api_keys SET leased_until = $3 WHERE app = $1 AND provider = $2";
        self.execute(sql, binds![&key.app, key.provider, from])
            .await?;
        Ok(())
    }
}
