//! Permanent deletion of a customer: its rows. The rest of the store is searched afterwards, see
//! `store/erasure.rs`.

use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::identity::account::AccountHistory;
use crate::domain::time::Timestamp;

record! {
    struct AccountRow from "accounts" {
        key: ObjectKey,
        kept: AccountHistory,
    }
}

record! {
    struct Stub<'a> {
        key: &'a ObjectKey,
        kept: &'a AccountHistory,
    }
}

impl Tx {
    /// Removes a customer's row, the rows merged into it, and everything that belongs to them:
    /// grants, tokens, licences, subscriptions, payments, disputes, refunds. Of its billing accounts nothing
    /// stays but that they belong to a customer who was deleted, so that later webhooks of theirs
    /// make nobody new. Orders the erasure of what else is kept of it.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn customer_purge(
        &mut self,
        app: &AppSlug,
        id: &CustomerId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "SELECT key, kept FROM accounts WHERE app = $1 AND customer_id = $2";
        let mut accounts: Vec<AccountRow> = self.fetch(sql, binds![app, id]).await?;
        let sql = r"
            SELECT id FROM customers
            WHERE app = $1 AND COALESCE(merged_into, id) = $2 AND id <> $2
        ";
        let merged: Vec<CustomerId> = self.fetch_values("customers", sql, binds![app, id]).await?;
        let rows: Vec<CustomerId> = [id.clone()].into_iter().chain(merged).collect();
        let found = accounts.iter().map(|it| &it.key);
        let objects = self.erasure_objects(app, found).await?;
        self.erasure_add(app, &rows, &objects, now).await?;
        self.idempotency_forget(&rows).await?;
        for sql in [
            "DELETE FROM subscriptions WHERE app = $2 AND account IN (SELECT key FROM {rows} AS it)",
            "DELETE FROM payments WHERE app = $2 AND account IN (SELECT key FROM {rows} AS it)",
            "DELETE FROM disputes WHERE app = $2 AND account IN (SELECT key FROM {rows} AS it)",
            "DELETE FROM refunds WHERE app = $2 AND account IN (SELECT key FROM {rows} AS it)",
        ] {
            let keys = keys(accounts.iter().map(|it| &it.key));
            self.execute(sql, binds![keys, app]).await?;
        }
        for account in &mut accounts {
            account.kept = AccountHistory::new(account.kept.first_at);
            account.kept.pin = Some(id.clone());
        }
        let stubs = accounts
            .iter()
            .map(|AccountRow { key, kept }| Stub { key, kept });
        let stubs: Rows<Stub<'_>> = stubs.collect();
        let sql = r"
            UPDATE accounts
            SET linking_email = NULL, changed_email = NULL, seller_id = NULL, kept = stub.kept
            FROM {rows} AS stub
            WHERE accounts.app = $2 AND accounts.key = stub.key
        ";
        self.execute(sql, binds![stubs, app]).await?;
        let sql = "DELETE FROM flags WHERE app = $1 AND holder = $2";
        self.execute(sql, binds![app, id]).await?;
        let sql = "DELETE FROM customers WHERE app = $1 AND COALESCE(merged_into, id) = $2";
        self.execute(sql, binds![app, id]).await?;
        Ok(())
    }
}
