//! Permanent deletion of a customer.

use serde_json::json;

use super::driver::{Batch, Kind, Row, binds};
use super::{StoreError, Tx, document};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::identity::account::AccountHistory;

impl Tx {
    /// Removes a customer's row, the rows merged into it, and everything that belongs to them:
    /// grants, tokens, licences, subscriptions, disputes, refunds. Of its billing accounts nothing
    /// stays but that they belong to a customer who was deleted, so that later webhooks of theirs
    /// make nobody new.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn customer_purge(
        &mut self,
        app: &AppSlug,
        id: &CustomerId,
    ) -> Result<(), StoreError> {
        let sql = "SELECT key, kept FROM accounts WHERE app = $1 AND customer_id = $2";
        let rows = self.fetch(sql, binds![app.as_str(), id.as_str()]).await?;
        let accounts = rows.iter().map(account_of).collect::<Result<Vec<_>, _>>()?;
        for table in ["subscriptions", "disputes", "refunds"] {
            let sql = format!(
                "DELETE FROM {table} WHERE app = $2 AND account IN (SELECT key FROM {{rows}} AS it)"
            );
            let keys = Batch::keys(accounts.iter().map(|(key, _)| key));
            self.execute(&sql, binds![keys, app.as_str()]).await?;
        }
        let mut stubs = Batch::new(&[("key", Kind::Text), ("kept", Kind::Json)]);
        for (key, kept) in &accounts {
            let mut stub = AccountHistory::new(kept.first_at);
            stub.pin = Some(id.clone());
            stubs.row([json!(key), json!(document(&stub)?)]);
        }
        let sql = "UPDATE accounts SET linking_email = NULL, kept = stub.kept FROM {rows} AS stub \
                   WHERE accounts.app = $2 AND accounts.key = stub.key";
        self.execute(sql, binds![stubs, app.as_str()]).await?;
        let sql = "DELETE FROM flags WHERE app = $1 AND holder = $2";
        self.execute(sql, binds![app.as_str(), id.as_str()]).await?;
        let sql = "DELETE FROM customers WHERE app = $1 AND COALESCE(merged_into, id) = $2";
        self.execute(sql, binds![app.as_str(), id.as_str()]).await?;
        Ok(())
    }
}

fn account_of(row: &Row) -> Result<(ObjectKey, AccountHistory), StoreError> {
    Ok((row.parsed("key")?, row.json("kept")?))
}
