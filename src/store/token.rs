//! Access tokens of customers.

use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::id::{AppSlug, CustomerId, TokenId};

record! {
    impl CustomerToken from "tokens" {
        id, customer, name, scope, packages, prefix, created_at, expires_at, last_used_at,
    }
}

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
        let sql = r"
            INSERT INTO tokens (
                id, app, customer_id, name, scope, packages, hash, prefix, created_at, expires_at,
                last_used_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ";
        let binds = binds![
            &token.id,
            app,
            &token.customer,
            &token.name,
            &token.scope,
            &token.packages,
            hash,
            &token.prefix,
            token.created_at,
            token.expires_at,
            token.last_used_at,
        ];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Lists the tokens of a customer, those of the rows that were merged into its row included,
    /// newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn token_list(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
    ) -> Result<Vec<CustomerToken>, StoreError> {
        let sql = r"
            SELECT
                id, customer_id AS customer, name, scope, packages, prefix, created_at, expires_at,
                last_used_at
            FROM tokens
            WHERE app = $1
                AND customer_id IN (
                    SELECT CAST($2 AS TEXT)
                    UNION ALL
                    SELECT id FROM customers WHERE app = $1 AND COALESCE(merged_into, id) = $2
                )
            ORDER BY id DESC
        ";
        self.fetch(sql, binds![app, customer]).await
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
        let sql = r"
            UPDATE tokens
            SET hash = $3, prefix = $4, last_used_at = $5
            WHERE app = $1 AND id = $2
        ";
        let binds = binds![app, &token.id, hash, &token.prefix, token.last_used_at];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Removes a token of a customer; `false` if there was none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn token_delete(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
        id: &TokenId,
    ) -> Result<bool, StoreError> {
        let sql = r"
            DELETE FROM tokens
            WHERE app = $1
                AND id = $3
                AND customer_id IN (
                    SELECT CAST($2 AS TEXT)
                    UNION ALL
                    SELECT id FROM customers WHERE app = $1 AND COALESCE(merged_into, id) = $2
                )
        ";
        Ok(self.execute(sql, binds![app, customer, id]).await? > 0)
    }
}
