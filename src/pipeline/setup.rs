//! The start of a server: the app `default`, and what the environment says of it.

use std::collections::BTreeSet;

use serde_json::json;

use super::apps::put_environment;
use super::order::Order;
use super::packages;
use super::policy;
use super::settings_plans::{self, MissingPlan, SettingsPlan, put_settings};
use crate::domain::app_settings::SettingsLayer;
use crate::domain::id::AppSlug;
use crate::store::{Store, StoreError};

/// What the environment says of the app `default`.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Its plans.
    pub plans: Vec<SettingsPlan>,
    /// The packages in them that are read by SemVer.
    pub semver_packages: BTreeSet<String>,
    /// Its settings.
    pub settings: SettingsLayer,
}

/// Finds the plans of the app `default` that the next start of a worker with these settings takes away
/// from customers who pay for them.
///
/// # Errors
/// When the store failed.
pub async fn missing_plans(
    store: &Store,
    environment: &Environment,
) -> Result<Vec<MissingPlan>, StoreError> {
    let mut tx = store.read().await?;
    let app = AppSlug::default_app();
    settings_plans::missing(&mut tx, &app, &environment.plans).await
}

/// Says whether no server and no command has used this store yet.
///
/// # Errors
/// When the store failed.
pub async fn is_new(store: &Store) -> Result<bool, StoreError> {
    let mut tx = store.read().await?;
    Ok(tx.app_find(&AppSlug::default_app()).await?.is_none())
}

/// Says whether the settings that were put in place last named other plans of the app `default` than these.
///
/// # Errors
/// When the store failed.
pub async fn has_other_plans(store: &Store, environment: &Environment) -> Result<bool, StoreError> {
    let mut tx = store.read().await?;
    settings_plans::differ(&mut tx, &AppSlug::default_app(), &environment.plans).await
}

/// Makes the app of the order unless it exists, and puts in place what the environment says, where
/// it is given: only workers have price mappings and the like, and a process without must not take
/// theirs away. Returns whether the app was made, which means that the store was empty.
///
/// If plans or settings changed, the first customers are derived anew before it returns, which is all of
/// them for most apps; the workers' timers do the rest.
///
/// # Errors
/// When the store failed.
pub async fn prepare(
    store: &Store,
    order: &Order,
    environment: Option<&Environment>,
) -> Result<bool, StoreError> {
    let mut tx = store.begin_in(&order.app).await?;
    let first_start = tx.app_ensure_default(order.now).await?;
    if first_start {
        let details = json!({"slug": order.app, "from": null, "to": order.app});
        order.audit(&mut tx, None, "app_create", details).await?;
    }
    let mut derives = false;
    if let Some(environment) = environment {
        derives |= put_settings(&mut tx, order, &environment.plans).await?;
        packages::declare_settings(
            &mut tx,
            order,
            &environment.semver_packages,
            &environment.plans,
        )
        .await?;
        derives |= put_environment(&mut tx, order, &environment.settings).await?;
    }
    tx.commit().await?;
    if derives {
        policy::begin_walk(store, &order.app, order.now).await;
    }
    Ok(first_start)
}
