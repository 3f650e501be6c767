//! Access tokens of customers.

use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::id::{AppSlug, CustomerId, TokenId};

record! {
    impl CustomerToken from "tokens" {
        id, customer, name, scope, packages, prefix, created_at, expires_at, last_used_at,
        previous_until,
    }
}

impl Tx {
    /// Adds a token to a customer's row; `false` if another token, of whatever app, is opened by the
    /// same text. The transaction must not be committed then.
    ///
    /// # Errors
    /// When the database does not answer, or there is no such row.
    pub async fn token_add(
        &mut self,
        app: &AppSlug,
        token: &CustomerToken,
        hash: &TokenHash,
    ) -> Result<bool, StoreError> {
        let sql = r"
            INSERT INTO tokens (
                id, app, customer_id, name, scope, packages, prefix, created_at, expires_at,
                last_used_at, previous_until
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
            &token.prefix,
            token.created_at,
            token.expires_at,
            token.last_used_at,
            token.previous_until,
        ];
        self.execute(sql, binds).await?;
        self.token_hash_add(token, hash).await
    }

    /// Adds what opens a token from now on; `false` if it opens one already.
    async fn token_hash_add(
        &mut self,
        token: &CustomerToken,
        hash: &TokenHash,
    ) -> Result<bool, StoreError> {
        let sql = r"
            INSERT INTO token_hashes (hash, token_id, until)
            VALUES ($1, $2, NULL)
            ON CONFLICT (hash) DO NOTHING
        ";
        Ok(self.execute(sql, binds![hash, &token.id]).await? > 0)
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
                last_used_at, previous_until
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

    /// Has another text open a token; `false` if that opens one already. The present text opens it
    /// until `token.previous_until`, or not any more; what was previous before is forgotten.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn token_rekey(
        &mut self,
        app: &AppSlug,
        token: &CustomerToken,
        hash: &TokenHash,
    ) -> Result<bool, StoreError> {
        let sql = r"
            UPDATE tokens
            SET prefix = $3, last_used_at = $4, previous_until = $5
            WHERE app = $1 AND id = $2
        ";
        let until = token.previous_until;
        let binds = binds![app, &token.id, &token.prefix, token.last_used_at, until];
        self.execute(sql, binds).await?;
        let is_dead = if until.is_some() {
            "AND until IS NOT NULL"
        } else {
            ""
        };
        let gone = format!("token_id = $2 {is_dead}");
        self.token_hashes_retire(app, &token.id, &gone).await?;
        let sql = format!("DELETE FROM token_hashes WHERE token_id = $1 {is_dead}");
        self.execute(&sql, binds![&token.id]).await?;
        if until.is_some() {
            let sql = "UPDATE token_hashes SET until = $2 WHERE token_id = $1";
            self.execute(sql, binds![&token.id, until]).await?;
        }
        self.token_hash_add(token, hash).await
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
        self.token_hashes_retire(app, id, "token_id = $2").await?;
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

    /// Remembers the texts of a token that are to open nothing from now on, so that no import brings
    /// them back.
    async fn token_hashes_retire(
        &mut self,
        app: &AppSlug,
        id: &TokenId,
        gone: &str,
    ) -> Result<(), StoreError> {
        let sql = format!(
            r"
            INSERT INTO retired_token_hashes (app, hash)
            SELECT $1, hash FROM token_hashes WHERE {gone}
            ON CONFLICT (app, hash) DO NOTHING
            "
        );
        self.execute(&sql, binds![app, id]).await?;
        Ok(())
    }
}
