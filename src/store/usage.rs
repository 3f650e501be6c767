//! Uses of tokens and of webhook secrets, written in sets, now and then, by the process that
//! counted them.

use std::collections::BTreeMap;

use super::endpoint_receipt::{Endpoint, Receipt};
use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::id::{AdminTokenId, AppSlug, Provider, SecretId, TokenId};
use crate::domain::time::Timestamp;

/// Uses that are to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// The last use of customers' tokens.
    pub tokens: BTreeMap<TokenId, Timestamp>,
    /// The last use of admins' tokens.
    pub admin_tokens: BTreeMap<AdminTokenId, Timestamp>,
    /// Webhooks that each webhook secret has verified.
    pub secrets: BTreeMap<SecretId, SecretUses>,
    /// Webhooks that no secret of their endpoint had signed.
    pub refused: BTreeMap<RefusedKey, SecretUses>,
    /// The last webhook of each endpoint that one of its secrets verified.
    pub endpoints: BTreeMap<Endpoint, Receipt>,
}

/// What refused signatures are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusedKey {
    /// Whose endpoint.
    pub app: AppSlug,
    /// Of which provider.
    pub provider: Provider,
    /// The code of the refusal.
    pub reason: &'static str,
    /// The day, since 1970, in UTC.
    pub day: i64,
}

/// Uses of one webhook secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretUses {
    /// The number of webhooks that it verified.
    pub count: i64,
    /// Time of the last of them.
    pub last_at: Timestamp,
}

impl Uses {
    /// Returns true if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
            && self.admin_tokens.is_empty()
            && self.secrets.is_empty()
            && self.refused.is_empty()
            && self.endpoints.is_empty()
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
        for (key, refused) in other.refused {
            self.add_refused(key, refused);
        }
        for (endpoint, last) in other.endpoints {
            self.add_receipt(endpoint, last);
        }
    }

    /// Adds a webhook that came to an endpoint.
    pub fn add_receipt(&mut self, endpoint: Endpoint, receipt: Receipt) {
        let last = self.endpoints.entry(endpoint).or_insert(receipt);
        *last = receipt.max(*last);
    }

    /// Adds webhooks whose signatures were refused.
    pub fn add_refused(&mut self, key: RefusedKey, refused: SecretUses) {
        let known = self.refused.entry(key).or_insert(SecretUses {
            count: 0,
            last_at: refused.last_at,
        });
        known.count += refused.count;
        known.last_at = refused.last_at.max(known.last_at);
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

record! {
    struct LastUse<'a> {
        id: &'a str,
        last_at: Timestamp,
    }
}

record! {
    struct MoreUses<'a> {
        id: &'a SecretId,
        more: i64,
        last_at: Timestamp,
    }
}

record! {
    struct MoreRefused<'a> {
        app: &'a AppSlug,
        provider: Provider,
        reason: &'static str,
        day: i64,
        more: i64,
        last_at: Timestamp,
    }
}

impl Tx {
    /// Writes uses. Those of a token or secret that no longer exists are passed over, and no time
    /// goes back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn usage_add(&mut self, uses: &Uses) -> Result<(), StoreError> {
        let tokens = uses.tokens.iter().map(|(id, at)| LastUse {
            id: id.as_str(),
            last_at: *at,
        });
        let tokens: Rows<LastUse<'_>> = tokens.collect();
        let sql = r"
            UPDATE tokens
            SET last_used_at = new.last_at
            FROM {rows} AS new
            WHERE tokens.id = new.id AND (last_used_at IS NULL OR last_used_at < new.last_at)
        ";
        self.execute(sql, binds![tokens]).await?;

        let tokens = uses.admin_tokens.iter().map(|(id, at)| LastUse {
            id: id.as_str(),
            last_at: *at,
        });
        let tokens: Rows<LastUse<'_>> = tokens.collect();
        let sql = r"
            UPDATE admin_tokens
            SET last_used_at = new.last_at
            FROM {rows} AS new
            WHERE admin_tokens.id = new.id AND (last_used_at IS NULL OR last_used_at < new.last_at)
        ";
        self.execute(sql, binds![tokens]).await?;

        let secrets = uses.secrets.iter().map(|(id, uses)| MoreUses {
            id,
            more: uses.count,
            last_at: uses.last_at,
        });
        let secrets: Rows<MoreUses<'_>> = secrets.collect();
        let sql = r"
            UPDATE endpoint_secrets
            SET
                uses = uses + new.more,
                last_used_at = CASE
                    WHEN last_used_at > new.last_at THEN last_used_at
                    ELSE new.last_at
                END
            FROM {rows} AS new
            WHERE endpoint_secrets.id = new.id
        ";
        self.execute(sql, binds![secrets]).await?;
        self.refused_add(uses).await?;
        self.receipt_add(&uses.endpoints).await
    }

    async fn refused_add(&mut self, uses: &Uses) -> Result<(), StoreError> {
        let refused = uses.refused.iter().map(|(key, refused)| MoreRefused {
            app: &key.app,
            provider: key.provider,
            reason: key.reason,
            day: key.day,
            more: refused.count,
            last_at: refused.last_at,
        });
        let refused: Rows<MoreRefused<'_>> = refused.collect();
        // Those of an app that is gone are passed over.
        let sql = r"
            INSERT INTO refused_signatures (app, provider, reason, day, count, last_at)
            SELECT app, provider, reason, day, more, last_at
            FROM {rows} AS new
            WHERE app IN (SELECT slug FROM apps)
            ON CONFLICT (app, provider, reason, day) DO UPDATE SET
                count = refused_signatures.count + excluded.count,
                last_at = excluded.last_at
        ";
        self.execute(sql, binds![refused]).await?;
        Ok(())
    }
}
