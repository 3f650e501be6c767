//! Reading the subscriptions of a customer.

use super::customers::{FindError, shown};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::policy::Policy;
use crate::store::{OwnedSubscription, Store};

/// Subscriptions, and the policy that says how they count.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    /// The subscriptions.
    pub all: Vec<OwnedSubscription>,
    /// The policy of their app.
    pub policy: Policy,
}

/// Lists a customer's subscriptions.
///
/// # Errors
/// When there is no such customer.
pub async fn list_of(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
) -> Result<Subscriptions, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, customer).await?;
    let policy = tx.app_policy(app).await?.unwrap_or_default();
    let all = tx.subscription_list(app, &customer.id).await?;
    Ok(Subscriptions { all, policy })
}
