//! Webhook secrets of endpoints, sealed by the [`Vault`](crate::vault::Vault).

use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, Provider, SecretId};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// A webhook secret, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSecret {
    /// Names it in the API.
    pub id: SecretId,
    /// The app of the endpoint.
    pub app: AppSlug,
    /// The provider that sends to the endpoint.
    pub provider: Provider,
    /// The deliveries that it is meant for.
    pub mode: Mode,
    /// Time at which it was added, by the local clock.
    pub created_at: Timestamp,
    /// Time from which it verifies nothing.
    pub expires_at: Option<Timestamp>,
    /// The number of webhooks it has verified, about; written lazily.
    pub uses: i64,
    /// The time of the last of them, about.
    pub last_used_at: Option<Timestamp>,
    /// The time since which its endpoint is live although its secrets are of any mode.
    pub live_since: Option<Timestamp>,
}

/// A webhook secret as it lies in the store.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    /// The secret's description.
    pub secret: EndpointSecret,
    /// The secret itself, as the vault sealed it.
    pub sealed: Vec<u8>,
}

record! {
    impl EndpointSecret from "endpoint_secrets" {
        id, app, provider, mode, created_at, expires_at, uses, last_used_at, live_since,
    }
}

record! {
    struct SealedRow from "endpoint_secrets" {
        sealed: Vec<u8>,
    }
}

impl Tx {
    /// Adds a secret.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_add(
        &mut self,
        secret: &EndpointSecret,
        sealed: Vec<u8>,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO endpoint_secrets
                (id, app, provider, mode, sealed, created_at, expires_at, uses, last_used_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ";
        let binds = binds![
            &secret.id,
            &secret.app,
            secret.provider,
            secret.mode,
            sealed,
            secret.created_at,
            secret.expires_at,
            secret.uses,
            secret.last_used_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Lists the secrets of an endpoint, newest first, expired ones included.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_list(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<Vec<SealedSecret>, StoreError> {
        let sql = r"
            SELECT
                id, app, provider, mode, created_at, expires_at, uses, last_used_at,
                (
                    SELECT since
                    FROM live_endpoints AS live
                    WHERE live.app = endpoint_secrets.app
                        AND live.provider = endpoint_secrets.provider
                ) AS live_since,
                sealed
            FROM endpoint_secrets
            WHERE app = $1 AND provider = $2
            ORDER BY id DESC
        ";
        let rows = self.fetch(sql, binds![app, provider]).await?;
        Ok(sealed_of(rows))
    }

    /// Lists all secrets of all endpoints, expired ones included, still sealed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_list_all(&mut self) -> Result<Vec<SealedSecret>, StoreError> {
        let sql = r"
            SELECT
                id, app, provider, mode, created_at, expires_at, uses, last_used_at,
                NULL AS live_since,
                sealed
            FROM endpoint_secrets
            ORDER BY app, provider, id
        ";
        Ok(sealed_of(self.fetch(sql, binds![]).await?))
    }

    /// Puts a newly sealed text in the place of another one of the same secret; `false` if it is
    /// no longer there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_reseal(
        &mut self,
        id: &SecretId,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE endpoint_secrets SET sealed = $3 WHERE id = $1 AND sealed = $2";
        Ok(self.execute(sql, binds![id, from, to]).await? > 0)
    }

    /// Sets the time from which a secret verifies nothing; `None` for never.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_expire(
        &mut self,
        secret: &EndpointSecret,
        expires_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE endpoint_secrets SET expires_at = $3 WHERE app = $1 AND id = $2";
        self.execute(sql, binds![&secret.app, &secret.id, expires_at])
            .await?;
        Ok(())
    }

    /// Removes a secret; `false` if there was none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_delete(
        &mut self,
        app: &AppSlug,
        provider: Provider,
        id: &SecretId,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM endpoint_secrets WHERE app = $1 AND provider = $2 AND id = $3";
        Ok(self.execute(sql, binds![app, provider, id]).await? > 0)
    }

    /// Lists the secrets of all endpoints that have not expired, still sealed, for receivers to
    /// keep in memory.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_list_current(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<SealedSecret>, StoreError> {
        let sql = r"
            SELECT
                id, app, provider, mode, created_at, expires_at, uses, last_used_at,
                (
                    SELECT since
                    FROM live_endpoints AS live
                    WHERE live.app = endpoint_secrets.app
                        AND live.provider = endpoint_secrets.provider
                ) AS live_since,
                sealed
            FROM endpoint_secrets
            WHERE expires_at IS NULL OR expires_at > $1
            ORDER BY id
        ";
        Ok(sealed_of(self.fetch(sql, binds![now]).await?))
    }
}

fn sealed_of(rows: Vec<(EndpointSecret, SealedRow)>) -> Vec<SealedSecret> {
    let sealed = |(secret, row): (EndpointSecret, SealedRow)| SealedSecret {
        secret,
        sealed: row.sealed,
    };
    rows.into_iter().map(sealed).collect()
}
