//! Subscriptions, as people read them. They are written with their working set.

use super::record::{binds, record};
use super::{StoreError, Tx};
use crate::domain::apply::working_set::Subscription;
use crate::domain::billing::history::SubscriptionHistory;
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::identity::account::AccountHistory;
use crate::domain::time::Timestamp;

/// A subscription with the fact of its account that its standing depends on.
#[derive(Clone, Debug)]
pub struct OwnedSubscription {
    /// The subscription itself.
    pub subscription: Subscription,
    /// Time at which its account was deleted at the provider, if it was.
    pub removed_at: Option<Timestamp>,
}

record! {
    struct OwnedRow from "subscriptions" {
        key: ObjectKey,
        account: Option<ObjectKey>,
        kept: SubscriptionHistory,
        payer: AccountHistory,
    }
}

impl From<OwnedRow> for OwnedSubscription {
    fn from(row: OwnedRow) -> Self {
        Self {
            subscription: Subscription {
                key: row.key,
                history: row.kept,
                account: row.account,
            },
            removed_at: row.payer.removed_at,
        }
    }
}

impl Tx {
    /// Lists the subscriptions of a customer's billing accounts, by key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn subscription_list(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
    ) -> Result<Vec<OwnedSubscription>, StoreError> {
        let sql = r"
            SELECT
                subscriptions.key, subscriptions.account, subscriptions.kept,
                accounts.kept AS payer
            FROM accounts
            CROSS JOIN subscriptions
            WHERE accounts.app = $1
                AND accounts.customer_id = $2
                AND subscriptions.app = $1
                AND subscriptions.account = accounts.key
            ORDER BY subscriptions.key
        ";
        let rows: Vec<OwnedRow> = self.fetch(sql, binds![app, customer]).await?;
        Ok(rows.into_iter().map(OwnedSubscription::from).collect())
    }
}
