//! The accounts whose features a comparison asks for.

use super::reconcile::Reconcile;
use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::identity::account::AccountHistory;

record! {
    struct AccountRow from "accounts" {
        key: ObjectKey,
        kept: AccountHistory,
    }
}

impl Tx {
    /// Returns the next accounts of the seller's own at a provider, behind a key, whose features can
    /// matter: they have a subscription that has not ended, and their features are known or they pay
    /// for a price that has no plan.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reconcile_by_features(
        &mut self,
        it: &Reconcile,
        livemode: bool,
        after: Option<&str>,
        most: u32,
    ) -> Result<Vec<(ObjectKey, AccountHistory)>, StoreError> {
        let mode = if livemode { "live" } else { "test" };
        // The empty connected account, and the character that follows the colon.
        let first = format!("{}:{}:{mode}::", Kind::Account, it.provider);
        let end = format!("{}:{}:{mode}:;", Kind::Account, it.provider);
        let sql = r"
            SELECT key, kept
            FROM accounts
            WHERE app = $1 AND key > $2 AND key < $3
                AND EXISTS (
                    SELECT 1 FROM subscriptions
                    WHERE subscriptions.app = $1
                        AND subscriptions.account = accounts.key
                        AND subscriptions.kept ->> 'terminal' IS NULL
                )
                AND (
                    accounts.kept ->> 'features' IS NOT NULL
                    OR EXISTS (
                        SELECT 1 FROM entitlements
                        WHERE entitlements.app = $1
                            AND entitlements.customer_id = accounts.customer_id
                            AND entitlements.plan = ''
                    )
                )
            ORDER BY key
            LIMIT $4
        ";
        let after = after.unwrap_or(&first);
        let binds = binds![&it.app, after, end.as_str(), most];
        let rows: Vec<AccountRow> = self.fetch(sql, binds).await?;
        Ok(rows.into_iter().map(|row| (row.key, row.kept)).collect())
    }
}
