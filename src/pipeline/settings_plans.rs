//! The plans of the settings: they are put into the store when a worker starts.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::json;

use super::order::Order;
use crate::domain::access::plan::PackageGrant;
use crate::domain::id::{AppSlug, Provider};
use crate::store::{PlanSource, StoreError, StoredPlan, Tx};

/// A plan of the settings as they say it.
pub(super) type SettingsPlan = (Provider, String, Vec<PackageGrant>);

/// A plan that the settings named and do not name any more, although somebody pays for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPlan {
    /// The provider of the price.
    pub provider: Provider,
    /// The price.
    pub price_id: String,
    /// The number of customers who have something by it.
    pub customers: i64,
}

impl fmt::Display for MissingPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            provider,
            price_id,
            customers,
        } = self;
        let who = match customers {
            1 => "1 customer pays: it gets".to_owned(),
            many => format!("{many} customers pay: they get"),
        };
        write!(
            f,
            "the settings do not name {provider}'s price {price_id} any more, for which \
             {who} nothing for it. Put it back, or set its plan \
             through the API"
        )
    }
}

/// Finds the plans that are taken from customers when the settings say this.
///
/// # Errors
/// When the store fails.
pub(super) async fn missing(
    tx: &mut Tx,
    app: &AppSlug,
    plans: &[SettingsPlan],
) -> Result<Vec<MissingPlan>, StoreError> {
    let waiting = tx.waiting_plan_list(app).await?;
    let stays = |plan: &StoredPlan| {
        let is_named = |(provider, price_id, _): &SettingsPlan| {
            *provider == plan.provider && *price_id == plan.price_id
        };
        let takes_over =
            |it: &StoredPlan| it.provider == plan.provider && it.price_id == plan.price_id;
        plans.iter().any(is_named) || waiting.iter().any(takes_over)
    };
    let present = tx.plan_list(app).await?;
    let of_settings = present
        .into_iter()
        .filter(|it| it.source == PlanSource::Environment);
    let mut missing = Vec::new();
    for plan in of_settings.filter(|plan| !stays(plan)) {
        let customers = tx
            .plan_count_customers(app, plan.provider, &plan.price_id)
            .await?;
        if customers > 0 {
            missing.push(MissingPlan {
                provider: plan.provider,
                price_id: plan.price_id,
                customers,
            });
        }
    }
    Ok(missing)
}

/// Says whether the settings that were put in place last named other plans.
///
/// # Errors
/// When the store fails.
pub(super) async fn differ(
    tx: &mut Tx,
    app: &AppSlug,
    plans: &[SettingsPlan],
) -> Result<bool, StoreError> {
    let present = tx.plan_list(app).await?;
    let kept: BTreeSet<_> = present
        .iter()
        .filter(|it| it.source == PlanSource::Environment)
        .map(|it| (it.provider, it.price_id.as_str(), &it.packages))
        .collect();
    let named = plans
        .iter()
        .map(|(provider, price_id, packages)| (*provider, price_id.as_str(), packages));
    Ok(kept != named.collect())
}

/// Replaces the plans of the settings by what the settings say now, and audits each price that
/// buys something else than before. Part of the start of a server. Returns whether customers have to
/// be derived anew, for which a walk has begun.
///
/// # Errors
/// When the store fails.
pub(super) async fn put_settings(
    tx: &mut Tx,
    order: &Order,
    plans: &[SettingsPlan],
) -> Result<bool, StoreError> {
    let before = tx.plan_all(&order.app).await?;
    let gone = missing(tx, &order.app, plans).await?;
    tx.plan_replace_environment(&order.app, plans, order.now)
        .await?;
    let after = tx.plan_all(&order.app).await?;
    for missing in gone {
        tracing::warn!("{missing}");
    }
    let derives = before != after;
    if derives {
        tx.app_walk_begin(&order.app).await?;
    }
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
    Ok(derives)
}
