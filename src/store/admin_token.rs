//! Admin tokens.

use super::filter::Filter;
use super::page::{Key, Listed, Window};
use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::access::token::{AdminToken, TokenHash};
use crate::domain::id::{AdminTokenId, AppSlug};
use crate::domain::time::Timestamp;

record! {
    impl AdminToken from "admin_tokens" {
        id, app, name, role, prefix, created_at, expires_at, last_used_at,
    }
}

impl Tx {
    /// Adds a token.
    ///
    /// # Errors
    /// When the database does not answer, or the app does not exist.
    pub async fn admin_token_add(
        &mut self,
        token: &AdminToken,
        hash: &TokenHash,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO admin_tokens
                (id, app, name, role, hash, prefix, created_at, expires_at, last_used_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ";
        let binds = binds![
            &token.id,
            &token.app,
            &token.name,
            token.role,
            hash,
            &token.prefix,
            token.created_at,
            token.expires_at,
            token.last_used_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Finds the token with this hash, expired or not. The tokens of a deleted app are gone with
    /// it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_token_find(
        &mut self,
        hash: &TokenHash,
    ) -> Result<Option<AdminToken>, StoreError> {
        let sql = r"
            SELECT id, app, name, role, prefix, created_at, expires_at, last_used_at
            FROM admin_tokens
            WHERE hash = $1
        ";
        self.fetch_opt(sql, binds![hash]).await
    }

    /// Lists tokens, newest first: of one app, or all of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_token_list(
        &mut self,
        app: Option<&AppSlug>,
        window: &Window,
    ) -> Result<Listed<AdminToken>, StoreError> {
        let mut filter = Filter::all();
        if let Some(app) = app {
            filter.and("app = ?", app);
        }
        let select = r"
            SELECT id, app, name, role, prefix, created_at, expires_at, last_used_at
            FROM admin_tokens
        ";
        let id = |token: &AdminToken| token.id.to_string();
        self.list(select, filter, Key::Id("id"), window, id).await
    }

    /// Counts the admin tokens of an app, or those that are good for all apps.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_token_count(&mut self, app: Option<&AppSlug>) -> Result<u64, StoreError> {
        let sql = r"
            SELECT COUNT(*) AS n FROM admin_tokens
            WHERE app = $1 OR ($1 IS NULL AND app IS NULL)
        ";
        let count: Option<i64> = self.fetch_value("admin_tokens", sql, binds![app]).await?;
        Ok(count
            .and_then(|it| u64::try_from(it).ok())
            .unwrap_or(u64::MAX))
    }

    /// Finds a token by its id, of this app alone if one is named.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_token_show(
        &mut self,
        id: &AdminTokenId,
        app: Option<&AppSlug>,
    ) -> Result<Option<AdminToken>, StoreError> {
        let sql = r"
            SELECT id, app, name, role, prefix, created_at, expires_at, last_used_at
            FROM admin_tokens
            WHERE id = $1 AND ($2 IS NULL OR app = $2)
        ";
        self.fetch_opt(sql, binds![id, app]).await
    }

    /// Removes a token, of this app alone if one is named. Returns the token, if there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_token_delete(
        &mut self,
        id: &AdminTokenId,
        app: Option<&AppSlug>,
    ) -> Result<Option<AdminToken>, StoreError> {
        let sql = r"
            DELETE FROM admin_tokens
            WHERE id = $1 AND ($2 IS NULL OR app = $2)
            RETURNING id, app, name, role, prefix, created_at, expires_at, last_used_at
        ";
        self.fetch_opt(sql, binds![id, app]).await
    }

    /// Returns true if there is any token that has not expired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_token_any(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let sql = r"
            SELECT 1 AS one
            FROM admin_tokens
            WHERE expires_at IS NULL OR expires_at > $1
            LIMIT 1
        ";
        let found: Option<i64> = self.fetch_value("admin_tokens", sql, binds![now]).await?;
        Ok(found.is_some())
    }
}
