//! Plans: what a price buys. The packages of a plan are looked up when access is read, so they change
//! at once for everybody. Whether a price buys anything decides how customers stand, so all are
//! derived anew when that changes. The plans of the settings are put into the store when a server
//! starts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::order::Order;
use super::policy;
use crate::domain::access::plan::{PackageGrant, Plan};
use crate::domain::id::{AppSlug, Provider};
use crate::domain::policy::Span;
use crate::store::{PlanSource, Store, StoreError, StoredPlan, Tx};

/// Most plans that an app has besides those of the settings.
const MAX_PLANS: u64 = 5_000;

/// Why a plan was not set or deleted.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no such plan.
    #[error("there is no such plan")]
    NotFound,
    /// It comes from the settings of the server and can be changed only there.
    #[error("the plan comes from the settings of the server")]
    ReadOnly,
    /// The app has as many plans as it may have.
    #[error("the app has {MAX_PLANS} plans; delete one first")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// A plan after an order.
#[derive(Clone, Debug)]
pub struct Set {
    /// The plan.
    pub plan: StoredPlan,
    /// There was no plan for the price.
    pub is_new: bool,
    /// The order changed something.
    pub changed: bool,
}

/// Lists the plans of an app, those of the settings too.
///
/// # Errors
/// When the store failed.
pub async fn list(store: &Store, app: &AppSlug) -> Result<Vec<StoredPlan>, StoreError> {
    store.read().await?.plan_list(app).await
}

/// Finds the plan for a price.
///
/// # Errors
/// When there is no such plan.
pub async fn find(
    store: &Store,
    app: &AppSlug,
    provider: Provider,
    price_id: &str,
) -> Result<StoredPlan, PlanError> {
    let mut tx = store.read().await?;
    let found = tx.plan_find(app, provider, price_id).await?;
    found.ok_or(PlanError::NotFound)
}

/// Sets what a price buys.
///
/// # Errors
/// When the plan comes from the settings, or it is new and there are too many.
pub async fn put(
    store: &Store,
    order: &Order,
    provider: Provider,
    price_id: String,
    wanted: Plan,
) -> Result<Set, PlanError> {
    let mut tx = store.begin_in(&order.app).await?;
    let known = tx.plan_find(&order.app, provider, &price_id).await?;
    refuse_environment(known.as_ref())?;
    let is_new = known.is_none();
    let before = known.as_ref().map(StoredPlan::plan);
    if let Some(plan) = known.filter(|_| before.as_ref() == Some(&wanted)) {
        return Ok(Set {
            plan,
            is_new,
            changed: false,
        });
    }
    if is_new && tx.plan_count(&order.app, PlanSource::Api).await? >= MAX_PLANS {
        return Err(PlanError::TooMany);
    }
    let derives = decides(before.as_ref()) != decides(Some(&wanted));
    let details = json!({"provider": provider, "price_id": price_id, "from": before,
        "to": wanted});
    let plan = StoredPlan {
        provider,
        price_id,
        packages: wanted.packages,
        counts: wanted.counts,
        updates: wanted.updates,
        source: PlanSource::Api,
        updated_at: order.now,
    };
    tx.plan_put(&order.app, std::slice::from_ref(&plan)).await?;
    order.audit(&mut tx, None, "plan_put", details).await?;
    commit_and_derive(store, order, tx, derives).await?;
    Ok(Set {
        plan,
        is_new,
        changed: true,
    })
}

/// Deletes the plan for a price.
///
/// # Errors
/// When there is no such plan, or it comes from the settings.
pub async fn delete(
    store: &Store,
    order: &Order,
    provider: Provider,
    price_id: &str,
) -> Result<(), PlanError> {
    let mut tx = store.begin_in(&order.app).await?;
    let known = tx.plan_find(&order.app, provider, price_id).await?;
    refuse_environment(known.as_ref())?;
    let plan = known.ok_or(PlanError::NotFound)?;
    tx.plan_delete(&order.app, provider, price_id).await?;
    let details = json!({"provider": provider, "price_id": price_id, "from": plan.plan(),
        "to": null});
    order.audit(&mut tx, None, "plan_delete", details).await?;
    Ok(commit_and_derive(store, order, tx, true).await?)
}

/// The part of a plan that decides how customers stand: whether it is there, whether it buys
/// anything, and for how long.
fn decides(plan: Option<&Plan>) -> Option<(bool, Option<Span>)> {
    plan.map(|plan| (plan.buys(), plan.updates))
}

async fn commit_and_derive(
    store: &Store,
    order: &Order,
    mut tx: Tx,
    derives: bool,
) -> Result<(), StoreError> {
    if derives {
        tx.app_walk_begin(&order.app).await?;
    }
    tx.commit().await?;
    if derives {
        policy::begin_walk(store, &order.app, order.now).await;
    }
    Ok(())
}

fn refuse_environment(plan: Option<&StoredPlan>) -> Result<(), PlanError> {
    match plan.map(|plan| plan.source) {
        Some(PlanSource::Environment) => Err(PlanError::ReadOnly),
        Some(PlanSource::Api) | None => Ok(()),
    }
}

type Found = BTreeMap<(Provider, String), Plan>;

/// Replaces the plans of the settings by what the settings say now, and audits each price that
/// buys something else than before. Part of the start of a server. Returns whether customers have to
/// be derived anew, for which a walk has begun.
///
/// # Errors
/// When the store fails.
pub(super) async fn put_settings(
    tx: &mut Tx,
    order: &Order,
    plans: &[(Provider, String, Vec<PackageGrant>)],
) -> Result<bool, StoreError> {
    let before = by_price(tx.plan_list(&order.app).await?);
    tx.plan_replace_environment(&order.app, plans, order.now)
        .await?;
    let after = by_price(tx.plan_list(&order.app).await?);
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

fn by_price(plans: Vec<StoredPlan>) -> Found {
    plans
        .into_iter()
        .map(|it| ((it.provider, it.price_id.clone()), it.plan()))
        .collect()
}
