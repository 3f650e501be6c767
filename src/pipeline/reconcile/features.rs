//! The features that accounts are entitled to.
//!
//! The provider lists them account by account only
//! (<https://docs.stripe.com/api/entitlements/active-entitlement/list>), so that asking for all takes a
//! request each. It is done where it can matter: a plan may be of a feature, and since such a plan was
//! set no comparison has asked. What changed later, the list of events tells.

use std::collections::BTreeSet;

use tracing::warn;

use super::apply::Page;
use super::step::{Step, StepError};
use crate::domain::access::plan::may_be_of_feature;
use crate::domain::id::{Kind, ObjectKey};
use crate::domain::reconcile::Stage;
use crate::provider::STRIPE;
use crate::provider::api::ApiError;
use crate::store::reconcile::Reconcile;

/// How many accounts are asked for in one step.
const MOST: u32 = 20;

/// Asks for the features of the next accounts.
pub(super) async fn look(
    step: &Step<'_>,
    mut it: Reconcile,
) -> Result<Option<Reconcile>, StepError> {
    debug_assert_eq!(it.stage, Stage::Features);
    if it.cursor.is_none() {
        match use_of(step, &it).await? {
            Use::Asked => {}
            Use::NotNow => return step.end_stage(it).await,
            Use::None => {
                it.found.not_read.remove(&Stage::Features);
                return step.end_stage(it).await;
            }
        }
    }
    let livemode = step.api.mode.livemode().unwrap_or(true);
    let mut tx = step.store.read().await?;
    let after = it.cursor.clone();
    let accounts = tx
        .reconcile_by_features(&it, livemode, after.as_deref(), MOST)
        .await?;
    drop(tx);
    let next = accounts.last().map(|(key, _)| key.to_string());
    let next = next.filter(|_| accounts.len() >= MOST as usize);
    let mut page = Page::default();
    for (account, known) in &accounts {
        let ObjectKey { scope, id, .. } = account;
        let list = scope.key(Kind::FeatureList, id);
        let answer = step.ask(&it, step.api.api.get(&list)).await;
        it.found.requests += 1;
        match answer {
            Ok(fetched) => {
                let (mode, now) = (step.api.mode, step.clock.now());
                page.add_features(&it, &list, &fetched, &known.features, mode, now)?;
            }
            // The account was deleted meanwhile.
            Err(StepError::Api(ApiError::NotFound)) => {}
            // A key that may not read features is of use to who sells by price. The next comparison asks
            // again: the key may have been given the permission.
            Err(StepError::Api(ApiError::KeyRefused {
                status: 403,
                detail,
            })) => {
                warn!(
                    app = %it.app, provider = %it.provider, reconcile.id = %it.id, error = detail,
                    "the features are not compared: the key may not read them"
                );
                it.found.not_read.insert(Stage::Features, detail);
                return step.end_stage(it).await;
            }
            Err(error) => return Err(error),
        }
    }
    if next.is_none() {
        it.found.features_asked_at = it.started_at;
        it.found.not_read.remove(&Stage::Features);
    }
    let now = step.clock.now();
    let seen = BTreeSet::new();
    step.apply(it, &page, false, next, &seen, now).await
}

/// Whether it is worth to ask for features.
enum Use {
    /// A plan may be of one and was set since they were last asked for, or the key could not read them.
    Asked,
    /// What was asked for before still holds, or only a part of everything is compared.
    NotNow,
    /// No plan can be of one.
    None,
}

async fn use_of(step: &Step<'_>, it: &Reconcile) -> Result<Use, StepError> {
    if it.provider != STRIPE.name {
        return Ok(Use::None);
    }
    if it.ordered_since.is_some() {
        return Ok(Use::NotNow);
    }
    let plans = step.store.read().await?.plan_list(&it.app).await?;
    let mut may_be = plans
        .iter()
        .filter(|plan| plan.provider == it.provider && may_be_of_feature(&plan.price_id))
        .peekable();
    if may_be.peek().is_none() {
        return Ok(Use::None);
    }
    let asked_at = it.found.features_asked_at;
    let is_new = may_be.any(|plan| asked_at.is_none_or(|asked| plan.updated_at >= asked));
    Ok(if is_new { Use::Asked } else { Use::NotNow })
}
