//! Admin tokens.

use super::driver::{Row, binds};
use super::page::{Filter, Key, Listed, Window};
use super::{StoreError, Tx};
use crate::domain::access::token::{AdminToken, TokenHash};
use crate::domain::id::{AdminTokenId, AppSlug};
use crate::domain::time::Timestamp;

const COLUMNS: &str = "id, app, name, role, prefix, created_at, expires_at, last_used_at";

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
        let sql = "INSERT INTO admin_tokens \
                   (id, app, name, role, hash, prefix, created_at, expires_at, last_used_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let binds = binds![
            token.id.as_str(),
            token.app.as_ref().map(AppSlug::as_str),
            token.name.as_str(),
            token.role.as_str(),
            hash.as_bytes().to_vec(),
            token.prefix.as_str(),
            token.created_at,
            token.expires_at,
            token.last_used_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// The token of this hash, run out or not. The tokens of a deleted app are gone with it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_token_find(
        &mut self,
        hash: &TokenHash,
    ) -> Result<Option<AdminToken>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM admin_tokens WHERE hash = $1");
        let row = self
            .fetch_opt(&sql, binds![hash.as_bytes().to_vec()])
            .await?;
        row.as_ref().map(token_of).transpose()
    }

    /// Tokens, newest first: of one app, or all of them.
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
            filter.and("app = ?", app.as_str());
        }
        let select = format!("SELECT {COLUMNS} FROM admin_tokens");
        self.list(&select, filter, Key::Text("id"), window, token_of)
            .await
    }

    /// Removes a token, of this app alone if one is named; the token, if there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_token_delete(
        &mut self,
        id: &AdminTokenId,
        app: Option<&AppSlug>,
    ) -> Result<Option<AdminToken>, StoreError> {
        let sql = format!(
            "DELETE FROM admin_tokens WHERE id = $1 AND ($2 IS NULL OR app = $2) \
             RETURNING {COLUMNS}"
        );
        let binds = binds![id.as_str(), app.map(AppSlug::as_str)];
        let row = self.fetch_opt(&sql, binds).await?;
        row.as_ref().map(token_of).transpose()
    }

    /// Whether there is any token that has not run out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_token_any(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM admin_tokens \
                   WHERE expires_at IS NULL OR expires_at > $1 LIMIT 1";
        Ok(self.fetch_opt(sql, binds![now]).await?.is_some())
    }
}

fn token_of(row: &Row) -> Result<AdminToken, StoreError> {
    Ok(AdminToken {
        id: row.parsed("id")?,
        app: row.parsed_opt("app")?,
        name: row.text("name")?,
        role: row.parsed("role")?,
        prefix: row.text("prefix")?,
        created_at: row.time("created_at")?,
        expires_at: row.time_opt("expires_at")?,
        last_used_at: row.time_opt("last_used_at")?,
    })
}
