//! Plans: what a price buys. The packages of a plan are looked up when access is read, so they change
//! at once for everybody. Whether a price buys anything decides how customers stand, so all are
//! derived anew when that changes, and when its licences do, which are made then. The plans of the settings are put into the store when a server
//! starts.

use std::collections::BTreeMap;

use serde_json::json;

use super::order::Order;
use super::package_texts::{PackageTextError, check_grants, in_list};
use super::policy;
use crate::domain::access::plan::Plan;
use crate::domain::id::{AppSlug, Provider};
use crate::domain::precondition::{Precondition, Stale, StateTag};
use crate::domain::span::Span;
use crate::store::{PlanSource, Store, StoreError, StoredPlan, Tx};

/// Most plans that an app has besides those of the settings.
const MAX_PLANS: u64 = 5_000;

/// Why a plan was not set or deleted.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no such plan.
    #[error("there is no such plan")]
    NotFound,
    /// It comes from the settings of the server and can be removed only there.
    #[error("the plan comes from the settings of the server")]
    ReadOnly,
    /// It has changed since it was read.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The app has as many plans as it may have.
    #[error("the app has {MAX_PLANS} plans; delete one first")]
    TooMany,
    /// A package is none, or its scheme cannot read the constraint.
    #[error(transparent)]
    Package(#[from] PackageTextError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// A plan, and what would count without the settings.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The plan that counts.
    pub plan: StoredPlan,
    /// The plan of an admin that waits behind it, if it comes from the settings.
    pub waiting: Option<StoredPlan>,
}

impl Shown {
    /// Returns the tag of the plan and of what waits behind it.
    pub fn state_tag(&self) -> StateTag {
        let waiting = self.waiting.as_ref().map(StoredPlan::plan);
        StateTag::of(&(self.plan.source.as_str(), self.plan.plan(), waiting))
    }
}

/// A plan after an order.
#[derive(Clone, Debug)]
pub struct Set {
    /// The plan.
    pub shown: Shown,
    /// There was no plan for the price.
    pub is_new: bool,
    /// The order changed something.
    pub changed: bool,
}

/// Lists the plans of an app, those of the settings too.
///
/// # Errors
/// When the store failed.
pub async fn list(store: &Store, app: &AppSlug) -> Result<Vec<Shown>, StoreError> {
    let mut tx = store.read().await?;
    let plans = tx.plan_list(app).await?;
    let waiting = tx.waiting_plan_list(app).await?.into_iter();
    let mut waiting: BTreeMap<(Provider, String), StoredPlan> = waiting
        .map(|it| ((it.provider, it.price_id.clone()), it))
        .collect();
    let shown = plans.into_iter().map(|plan| Shown {
        waiting: waiting.remove(&(plan.provider, plan.price_id.clone())),
        plan,
    });
    Ok(shown.collect())
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
) -> Result<Shown, PlanError> {
    let mut tx = store.read().await?;
    let found = shown(&mut tx, app, provider, price_id).await?;
    found.ok_or(PlanError::NotFound)
}

async fn shown(
    tx: &mut Tx,
    app: &AppSlug,
    provider: Provider,
    price_id: &str,
) -> Result<Option<Shown>, StoreError> {
    let Some(plan) = tx.plan_find(app, provider, price_id).await? else {
        return Ok(None);
    };
    let waiting = match plan.source {
        PlanSource::Environment => tx.waiting_plan_find(app, provider, price_id).await?,
        PlanSource::Api => None,
    };
    Ok(Some(Shown { plan, waiting }))
}

/// Sets what a price buys. If the settings name the price, the plan waits until they do not any more:
/// so a price can be moved from the settings to the API without a moment in which it has no plan.
///
/// # Errors
/// When it is in another state than `only_if` says, it is new and there are too many, or a constraint
/// cannot be read.
pub async fn put(
    store: &Store,
    order: &Order,
    provider: Provider,
    price_id: String,
    wanted: Plan,
    only_if: &Precondition,
) -> Result<Set, PlanError> {
    let mut tx = store.begin_in(&order.app).await?;
    check_grants(&mut tx, &order.app, wanted.packages.iter(), in_list).await?;
    let known = shown(&mut tx, &order.app, provider, &price_id).await?;
    only_if.check(known.as_ref().map(Shown::state_tag).as_ref())?;
    let known = match known {
        Some(known) if known.plan.source == PlanSource::Environment => {
            return put_behind(tx, order, known, wanted).await;
        }
        known => known.map(|known| known.plan),
    };
    let is_new = known.is_none();
    let before = known.as_ref().map(StoredPlan::plan);
    if let Some(plan) = known.filter(|_| before.as_ref() == Some(&wanted)) {
        let waiting = None;
        return Ok(Set {
            shown: Shown { plan, waiting },
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
        name: wanted.name,
        packages: wanted.packages,
        licenses: wanted.licenses,
        counts: wanted.counts,
        updates: wanted.updates,
        source: PlanSource::Api,
        updated_at: order.now,
    };
    tx.plan_put(&order.app, std::slice::from_ref(&plan)).await?;
    order.audit(&mut tx, None, "plan_put", details).await?;
    commit_and_derive(store, order, tx, derives).await?;
    let waiting = None;
    Ok(Set {
        shown: Shown { plan, waiting },
        is_new,
        changed: true,
    })
}

/// Lets what an admin wants wait behind a plan of the settings.
async fn put_behind(
    mut tx: Tx,
    order: &Order,
    Shown {
        plan,
        waiting: known,
    }: Shown,
    wanted: Plan,
) -> Result<Set, PlanError> {
    let (provider, price_id) = (plan.provider, &plan.price_id);
    let before = known.as_ref().map(StoredPlan::plan);
    let changed = before.as_ref() != Some(&wanted);
    let waiting = if changed {
        let details = json!({"provider": provider, "price_id": price_id, "waiting": true,
            "from": before, "to": wanted});
        let waiting = StoredPlan {
            name: wanted.name,
            packages: wanted.packages,
            licenses: wanted.licenses,
            counts: wanted.counts,
            updates: wanted.updates,
            source: PlanSource::Api,
            updated_at: order.now,
            ..plan.clone()
        };
        tx.waiting_plan_put(&order.app, &waiting).await?;
        order.audit(&mut tx, None, "plan_put", details).await?;
        tx.commit().await?;
        Some(waiting)
    } else {
        known
    };
    Ok(Set {
        shown: Shown { plan, waiting },
        is_new: false,
        changed,
    })
}

/// Deletes the plan for a price; if the settings name the price, the one that waits.
///
/// # Errors
/// When there is no such plan, it is in another state than `only_if` says, or it comes from the
/// settings and none waits.
pub async fn delete(
    store: &Store,
    order: &Order,
    provider: Provider,
    price_id: &str,
    only_if: &Precondition,
) -> Result<(), PlanError> {
    let mut tx = store.begin_in(&order.app).await?;
    let known = shown(&mut tx, &order.app, provider, price_id).await?;
    let known = known.ok_or(PlanError::NotFound)?;
    only_if.check(Some(&known.state_tag()))?;
    let plan = known.plan;
    if plan.source == PlanSource::Environment {
        return delete_behind(tx, order, &plan, known.waiting).await;
    }
    tx.plan_delete(&order.app, provider, price_id).await?;
    let details = json!({"provider": provider, "price_id": price_id, "from": plan.plan(),
        "to": null});
    order.audit(&mut tx, None, "plan_delete", details).await?;
    Ok(commit_and_derive(store, order, tx, true).await?)
}

/// The part of a plan for which customers have to be derived anew: whether it is there, whether it
/// buys anything and for how long, which decides how they stand, and the products of its licences,
/// which are made.
fn decides(plan: Option<&Plan>) -> Option<(bool, Option<Span>, Vec<&str>)> {
    plan.map(|plan| {
        let products = plan.licenses.iter().map(|it| it.product.as_str());
        (plan.buys(), plan.updates, products.collect())
    })
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

/// Deletes the plan that waits behind one of the settings.
async fn delete_behind(
    mut tx: Tx,
    order: &Order,
    plan: &StoredPlan,
    waiting: Option<StoredPlan>,
) -> Result<(), PlanError> {
    let (provider, price_id) = (plan.provider, &plan.price_id);
    let waiting = waiting.ok_or(PlanError::ReadOnly)?;
    tx.waiting_plan_delete(&order.app, provider, price_id)
        .await?;
    let details = json!({"provider": provider, "price_id": price_id, "waiting": true,
        "from": waiting.plan(), "to": null});
    order.audit(&mut tx, None, "plan_delete", details).await?;
    Ok(tx.commit().await?)
}
