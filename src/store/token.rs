//! Access tokens of customers.

use super::customer::rows_of;
use super::driver::{Row, Value, binds};
use super::{StoreError, Tx, document};
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::id::{AppSlug, CustomerId, TokenId};

/// The columns that [`token_of`] reads.
pub(super) const COLUMNS: &str = "tokens.id, tokens.customer_id, tokens.name, tokens.scope, tokens.packages, tokens.prefix, \
     tokens.created_at, tokens.expires_at, tokens.last_used_at";

impl Tx {
    /// Adds a token to a customer's row.
    ///
    /// # Errors
    /// When the database does not answer, or there is no such row.
    pub async fn token_add(
        &mut self,
        app: &AppSlug,
        token: &CustomerToken,
        hash: &TokenHash,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO tokens (id, app, customer_id, name, scope, packages, hash, prefix, \
                   created_at, expires_at, last_used_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let binds = binds![
            token.id.as_str(),
            app.as_str(),
            token.customer.as_str(),
            token.name.as_str(),
            token.scope.as_str(),
            Value::Json(document(&token.packages)?),
            hash.as_bytes().to_vec(),
            token.prefix.as_str(),
            token.created_at,
            token.expires_at,
            token.last_used_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// The tokens of a customer, those of the rows that were merged into its row included,
    /// newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn token_list(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
    ) -> Result<Vec<CustomerToken>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM tokens WHERE app = $1 AND customer_id IN ({}) \
             ORDER BY id DESC",
            rows_of("$1", "$2")
        );
        let rows = self
            .fetch(&sql, binds![app.as_str(), customer.as_str()])
            .await?;
        rows.iter().map(token_of).collect()
    }

    /// Keeps a token under another hash.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn token_rekey(
        &mut self,
        app: &AppSlug,
        token: &CustomerToken,
        hash: &TokenHash,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE tokens SET hash = $3, prefix = $4, last_used_at = $5 \
                   WHERE app = $1 AND id = $2";
        let binds = binds![
            app.as_str(),
            token.id.as_str(),
            hash.as_bytes().to_vec(),
            token.prefix.as_str(),
            token.last_used_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes a token of a customer; whether there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn token_delete(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        id: &TokenId,
    ) -> Result<bool, StoreError> {
        let sql = format!(
            "DELETE FROM tokens WHERE app = $1 AND id = $2 AND customer_id IN ({})",
            rows_of("$1", "$3")
        );
        let binds = binds![app.as_str(), id.as_str(), customer.as_str()];
        Ok(self.execute(&sql, binds).await? > 0)
    }
}

pub(super) fn token_of(row: &Row) -> Result<CustomerToken, StoreError> {
    Ok(CustomerToken {
        id: row.parsed("id")?,
        customer: row.parsed("customer_id")?,
        name: row.text("name")?,
        scope: row.text("scope")?,
        packages: row.json("packages")?,
        prefix: row.text("prefix")?,
        created_at: row.time("created_at")?,
        expires_at: row.time_opt("expires_at")?,
        last_used_at: row.time_opt("last_used_at")?,
    })
}
