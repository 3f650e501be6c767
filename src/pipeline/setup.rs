//! The start of a server: the app `default`, and the plans of the settings.

use serde_json::json;

use super::order::Order;
use super::plans::put_settings;
use super::policy;
use crate::domain::access::plan::PackageGrant;
use crate::domain::id::Provider;
use crate::store::{Store, StoreError};

/// Makes the app of the order unless it exists, and puts the plans of the settings in place where
/// they are given: only workers have price mappings, and a process without must not take theirs
/// away. Returns whether the app was made, which means that the store was empty.
///
/// If the plans changed, the first customers are derived anew before it returns, which is all of
/// them for most apps; the workers' timers do the rest.
///
/// # Errors
/// When the store failed.
pub async fn prepare(
    store: &Store,
    order: &Order,
    plans: Option<&[(Provider, String, Vec<PackageGrant>)]>,
) -> Result<bool, StoreError> {
    let mut tx = store.begin_in(&order.app).await?;
    let first_start = tx.app_ensure_default(order.now).await?;
    if first_start {
        let details = json!({"slug": order.app, "from": null, "to": order.app});
        order.audit(&mut tx, None, "app_create", details).await?;
    }
    let derives = match plans {
        Some(plans) => put_settings(&mut tx, order, plans).await?,
        None => false,
    };
    tx.commit().await?;
    if derives {
        policy::begin_walk(store, &order.app, order.now).await;
    }
    Ok(first_start)
}
