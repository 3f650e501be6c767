//! Webhook secrets of endpoints, sealed by the [`Vault`](crate::vault::Vault).

use super::driver::{Row, binds};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, Provider, SecretId};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;

/// A webhook secret, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSecret {
    /// Names it in the API.
    pub id: SecretId,
    /// Whose endpoint.
    pub app: AppSlug,
    /// Which of the app's endpoints.
    pub provider: Provider,
    /// Which deliveries it is meant for.
    pub mode: Mode,
    /// When it was added, by the local clock.
    pub created_at: Timestamp,
    /// From when it verifies nothing.
    pub expires_at: Option<Timestamp>,
    /// About how many webhooks it has verified; written lazily.
    pub uses: i64,
    /// About when the last of them came.
    pub last_used_at: Option<Timestamp>,
}

/// A webhook secret as it lies in the store.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    /// Which one.
    pub secret: EndpointSecret,
    /// What the vault made of it.
    pub sealed: Vec<u8>,
}

const COLUMNS: &str = "id, app, provider, mode, created_at, expires_at, uses, last_used_at";

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
        let sql = "INSERT INTO endpoint_secrets \
                   (id, app, provider, mode, sealed, created_at, expires_at, uses, last_used_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let binds = binds![
            secret.id.as_str(),
            secret.app.as_str(),
            secret.provider.as_str(),
            secret.mode.as_str(),
            sealed,
            secret.created_at,
            secret.expires_at,
            secret.uses,
            secret.last_used_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// The secrets of an endpoint, newest first, run-out ones included.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_list(
        &mut self,
        app: &AppSlug,
        provider: Provider,
    ) -> Result<Vec<EndpointSecret>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM endpoint_secrets WHERE app = $1 AND provider = $2 \
             ORDER BY id DESC"
        );
        let rows = self
            .fetch(&sql, binds![app.as_str(), provider.as_str()])
            .await?;
        rows.iter().map(secret_of).collect()
    }

    /// Says from when a secret verifies nothing; `None` for never.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_expire(
        &mut self,
        secret: &EndpointSecret,
        expires_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE endpoint_secrets SET expires_at = $3 WHERE app = $1 AND id = $2";
        let binds = binds![secret.app.as_str(), secret.id.as_str(), expires_at];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes a secret; whether there was one.
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
        let binds = binds![app.as_str(), provider.as_str(), id.as_str()];
        Ok(self.execute(sql, binds).await? > 0)
    }

    /// The secrets of all endpoints that have not run out, still sealed: what a receiver keeps in
    /// memory.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn secret_list_current(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<SealedSecret>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, sealed FROM endpoint_secrets \
             WHERE expires_at IS NULL OR expires_at > $1 ORDER BY id"
        );
        let rows = self.fetch(&sql, binds![now]).await?;
        rows.iter()
            .map(|row| {
                Ok(SealedSecret {
                    secret: secret_of(row)?,
                    sealed: row.bytes("sealed")?,
                })
            })
            .collect()
    }
}

fn secret_of(row: &Row) -> Result<EndpointSecret, StoreError> {
    Ok(EndpointSecret {
        id: row.parsed("id")?,
        app: row.parsed("app")?,
        provider: row.parsed("provider")?,
        mode: row.parsed("mode")?,
        created_at: row.time("created_at")?,
        expires_at: row.time_opt("expires_at")?,
        uses: row.int("uses")?,
        last_used_at: row.time_opt("last_used_at")?,
    })
}
