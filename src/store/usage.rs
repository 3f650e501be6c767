//! When tokens were last used, and what webhook secrets have verified: written in sets, now and
//! then, by whoever counted.

use std::collections::BTreeMap;

use serde_json::json;

use super::driver::{Batch, Kind, binds};
use super::{StoreError, Tx};
use crate::domain::id::{AdminTokenId, SecretId, TokenId};
use crate::domain::time::Timestamp;

/// Uses that are to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// The last use of customers' tokens.
    pub tokens: BTreeMap<TokenId, Timestamp>,
    /// The last use of admins' tokens.
    pub admin_tokens: BTreeMap<AdminTokenId, Timestamp>,
    /// What webhook secrets have verified.
    pub secrets: BTreeMap<SecretId, SecretUses>,
}

/// Uses of one webhook secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretUses {
    /// How many webhooks it verified.
    pub count: i64,
    /// When the last of them came.
    pub last_at: Timestamp,
}

impl Uses {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.admin_tokens.is_empty() && self.secrets.is_empty()
    }

    /// Adds other uses to these.
    pub fn add(&mut self, other: Self) {
        for (id, at) in other.tokens {
            let last = self.tokens.entry(id).or_insert(at);
            *last = at.max(*last);
        }
        for (id, at) in other.admin_tokens {
            let last = self.admin_tokens.entry(id).or_insert(at);
            *last = at.max(*last);
        }
        for (id, uses) in other.secrets {
            self.add_secret(id, uses);
        }
    }

    /// Adds uses of a webhook secret.
    pub fn add_secret(&mut self, id: SecretId, uses: SecretUses) {
        let known = self.secrets.entry(id).or_insert(SecretUses {
            count: 0,
            last_at: uses.last_at,
        });
        known.count += uses.count;
        known.last_at = uses.last_at.max(known.last_at);
    }
}

impl Tx {
    /// Writes uses. What does not exist any more is passed over, and no time goes back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn usage_add(&mut self, uses: &Uses) -> Result<(), StoreError> {
        let tokens = uses.tokens.iter().map(|(id, at)| (id.as_str(), *at));
        self.last_used("tokens", tokens).await?;
        let admin_tokens = uses.admin_tokens.iter().map(|(id, at)| (id.as_str(), *at));
        self.last_used("admin_tokens", admin_tokens).await?;
        let mut rows = Batch::new(&[
            ("id", Kind::Text),
            ("more", Kind::Int),
            ("last_at", Kind::Time),
        ]);
        for (id, uses) in &uses.secrets {
            rows.row([json!(id), json!(uses.count), json!(uses.last_at)]);
        }
        if rows.is_empty() {
            return Ok(());
        }
        let sql = "UPDATE endpoint_secrets SET uses = uses + new.more, \
                   last_used_at = CASE WHEN last_used_at > new.last_at \
                   THEN last_used_at ELSE new.last_at END \
                   FROM {rows} AS new WHERE endpoint_secrets.id = new.id";
        self.execute(sql, binds![rows]).await?;
        Ok(())
    }

    async fn last_used<'a>(
        &mut self,
        table: &'static str,
        uses: impl Iterator<Item = (&'a str, Timestamp)> + Send,
    ) -> Result<(), StoreError> {
        let mut rows = Batch::new(&[("id", Kind::Text), ("last_at", Kind::Time)]);
        for (id, at) in uses {
            rows.row([json!(id), json!(at)]);
        }
        if rows.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "UPDATE {table} SET last_used_at = new.last_at FROM {{rows}} AS new \
             WHERE {table}.id = new.id \
             AND (last_used_at IS NULL OR last_used_at < new.last_at)"
        );
        self.execute(&sql, binds![rows]).await?;
        Ok(())
    }
}
