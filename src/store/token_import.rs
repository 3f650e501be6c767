//! Access tokens of many customers at once, for those who take them over from elsewhere.

use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::id::{AppSlug, CustomerId, TokenId};
use crate::domain::time::Timestamp;

record! {
    /// What a text with this hash opens or opened.
    pub struct UsedHash from "token_hashes" {
        /// The hash.
        hash: Vec<u8>,
        /// `customer`: a token of a customer, whatever became of either; `admin`: the admin API;
        /// `retired`: a token of this app until it was rotated or revoked.
        used_as: String,
        /// The app of the customer.
        app: Option<AppSlug>,
        /// The customer that the token counts for.
        customer: Option<CustomerId>,
    }
}

impl UsedHash {
    /// The hash.
    pub fn hash(&self) -> &[u8] {
        &self.hash
    }

    /// Reports whether it opens the admin API.
    pub fn is_admins(&self) -> bool {
        self.used_as == "admin"
    }

    /// Reports whether it opened a token of the app until that was rotated or revoked.
    pub fn is_retired(&self) -> bool {
        self.used_as == "retired"
    }

    /// Reports whether it is that of a token of this customer.
    pub fn is_of(&self, app: &AppSlug, customer: &CustomerId) -> bool {
        self.app.as_ref() == Some(app) && self.customer.as_ref() == Some(customer)
    }
}

record! {
    /// The name of a token of a customer.
    #[derive(Debug)]
    pub struct TokenName from "tokens" {
        /// The customer that it counts for.
        pub customer: CustomerId,
        /// Its name.
        pub name: String,
    }
}

record! {
    struct NewToken<'a> {
        id: &'a TokenId,
        customer_id: &'a CustomerId,
        name: &'a str,
        scope: &'a str,
        packages: &'a Vec<String>,
        prefix: &'a str,
        created_at: Timestamp,
    }
}

record! {
    struct NewHash<'a> {
        hash: &'a TokenHash,
        token_id: &'a TokenId,
    }
}

impl Tx {
    /// Finds what texts with these hashes open or opened.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn token_hashes_used(
        &mut self,
        app: &AppSlug,
        hashes: &[TokenHash],
    ) -> Result<Vec<UsedHash>, StoreError> {
        let sql = r"
            WITH wanted AS (SELECT key FROM {rows} AS given)
            SELECT
                wanted.key AS hash, 'customer' AS used_as, given.app,
                COALESCE(given.merged_into, given.id) AS customer
            FROM wanted
            JOIN token_hashes AS presented ON presented.hash = wanted.key
            JOIN tokens ON tokens.id = presented.token_id
            JOIN customers AS given ON given.id = tokens.customer_id
            UNION ALL
            SELECT wanted.key, 'admin', NULL, NULL
            FROM wanted
            JOIN admin_tokens ON admin_tokens.hash = wanted.key
            UNION ALL
            SELECT wanted.key, 'retired', NULL, NULL
            FROM wanted
            JOIN retired_token_hashes AS retired
                ON retired.app = $2 AND retired.hash = wanted.key
        ";
        self.fetch(sql, binds![keys(hashes), app]).await
    }

    /// Lists the names of the tokens of some customers, those of rows merged into theirs included.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn token_names(
        &mut self,
        app: &AppSlug,
        customers: impl IntoIterator<Item = &CustomerId> + Send,
    ) -> Result<Vec<TokenName>, StoreError> {
        let sql = r"
            WITH wanted AS (SELECT key FROM {rows} AS given)
            SELECT wanted.key AS customer, tokens.name
            FROM wanted
            CROSS JOIN customers AS holders
            CROSS JOIN tokens
            WHERE holders.app = $2
                AND COALESCE(holders.merged_into, holders.id) = wanted.key
                AND tokens.customer_id = holders.id
        ";
        self.fetch(sql, binds![keys(customers), app]).await
    }

    /// Adds tokens without an end, of texts that open nothing yet; `false` if one of them does, or
    /// two are the same. The transaction must not be committed then.
    ///
    /// # Errors
    /// When the database does not answer, or there is no such row.
    pub async fn tokens_add(
        &mut self,
        app: &AppSlug,
        tokens: &[(CustomerToken, TokenHash)],
    ) -> Result<bool, StoreError> {
        let rows = tokens.iter().map(|(token, _)| NewToken {
            id: &token.id,
            customer_id: &token.customer,
            name: &token.name,
            scope: &token.scope,
            packages: &token.packages,
            prefix: &token.prefix,
            created_at: token.created_at,
        });
        let rows: Rows<NewToken<'_>> = rows.collect();
        let sql = r"
            INSERT INTO tokens (id, app, customer_id, name, scope, packages, prefix, created_at)
            SELECT id, $2, customer_id, name, scope, packages, prefix, created_at
            FROM {rows} AS new
        ";
        self.execute(sql, binds![rows, app]).await?;
        let hashes = tokens.iter().map(|(token, hash)| NewHash {
            hash,
            token_id: &token.id,
        });
        let hashes: Rows<NewHash<'_>> = hashes.collect();
        let sql = r"
            INSERT INTO token_hashes (hash, token_id)
            SELECT hash, token_id
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (hash) DO NOTHING
        ";
        let added = self.execute(sql, binds![hashes]).await?;
        Ok(usize::try_from(added) == Ok(tokens.len()))
    }
}
