//! Plans of the settings, put into the store when a server starts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::order::Order;
use crate::domain::access::plan::PackageGrant;
use crate::domain::id::Provider;
use crate::store::{Plan, StoreError, Tx};

type Packages = BTreeMap<(Provider, String), Vec<PackageGrant>>;

/// Makes the plans of the settings what the settings say now, and audits each price that buys
/// something else than before.
///
/// # Errors
/// When the store fails.
pub async fn put_settings(
    tx: &mut Tx,
    order: &Order,
    plans: &[(Provider, String, Vec<PackageGrant>)],
) -> Result<(), StoreError> {
    let before = by_price(tx.plan_list(&order.app).await?);
    tx.plan_replace_environment(&order.app, plans, order.now)
        .await?;
    let after = by_price(tx.plan_list(&order.app).await?);
    let prices: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for price in prices {
        let (from, to) = (before.get(price), after.get(price));
        if from == to {
            continue;
        }
        let operation = if to.is_some() {
            "plan_put"
        } else {
            "plan_delete"
        };
        let details = json!({"provider": price.0, "price_id": price.1, "from": from, "to": to});
        order.audit(tx, None, operation, details).await?;
    }
    Ok(())
}

fn by_price(plans: Vec<Plan>) -> Packages {
    plans
        .into_iter()
        .map(|plan| ((plan.provider, plan.price_id), plan.packages))
        .collect()
}
