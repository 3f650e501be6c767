//! Subscriptions, as people read them. How they are written is in `working set.rs`.

use super::driver::binds;
use super::{StoreError, Tx};
use crate::domain::apply::working_set::Subscription;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::identity::account::AccountHistory;
use crate::domain::time::Timestamp;

/// A subscription with what else its standing depends on.
#[derive(Clone, Debug)]
pub struct OwnedSubscription {
    /// What is kept of it.
    pub subscription: Subscription,
    /// When its account was deleted at the provider, if it was.
    pub removed_at: Option<Timestamp>,
}

impl Tx {
    /// The subscriptions of a customer's billing accounts, by key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn subscription_list(
        &mut self,
        app: &AppSlug,
        customer: &CustomerId,
    ) -> Result<Vec<OwnedSubscription>, StoreError> {
        let sql = "SELECT subscriptions.key, subscriptions.account, subscriptions.kept, \
                   accounts.kept AS payer FROM accounts CROSS JOIN subscriptions \
                   WHERE accounts.app = $1 AND accounts.customer_id = $2 \
                   AND subscriptions.app = $1 AND subscriptions.account = accounts.key \
                   ORDER BY subscriptions.key";
        let rows = self
            .fetch(sql, binds![app.as_str(), customer.as_str()])
            .await?;
        rows.iter()
            .map(|row| {
                let payer: AccountHistory = row.json("payer")?;
                Ok(OwnedSubscription {
                    subscription: Subscription {
                        key: row.parsed("key")?,
                        history: row.json("kept")?,
                        account: row.parsed_opt("account")?,
                    },
                    removed_at: payer.removed_at,
                })
            })
            .collect()
    }
}
