//! Reading the subscriptions of a customer.

use super::customers::{FindError, shown};
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::apply::working_set::Subscription;
use crate::domain::billing::assessment::Assessment;
use crate::domain::billing::subscription_view::SubscriptionView;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::store::Store;

/// A subscription and how it counts.
#[derive(Clone, Debug)]
pub struct Assessed {
    /// The subscription.
    pub subscription: Subscription,
    /// How it counts.
    pub assessment: Assessment,
    /// What is shown of it.
    pub view: SubscriptionView,
}

/// Lists a customer's subscriptions, with their timers as of `now`.
///
/// # Errors
/// When there is no such customer.
pub async fn list_of(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
    now: Timestamp,
) -> Result<Vec<Assessed>, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, customer).await?;
    let lookup_keys = LookupKeys {
        customers: [customer.id.clone()].into(),
        ..LookupKeys::default()
    };
    let working_set = tx.working_set_load(app, &lookup_keys).await?;
    let is_own = |subscription: &&Subscription| {
        let account = subscription.account.as_ref();
        let account = account.and_then(|key| working_set.accounts.get(key));
        let account = account.filter(|account| working_set.counts(account));
        account.and_then(|account| account.customer.as_ref()) == Some(&customer.id)
    };
    let own = working_set.subscriptions.values().filter(is_own);
    let assessed = own.filter_map(|it| {
        Some(Assessed {
            subscription: it.clone(),
            assessment: working_set.assessment(&it.key, now)?,
            view: working_set.subscription_view(&it.key, now)?,
        })
    });
    Ok(assessed.collect())
}
