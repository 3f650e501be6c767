//! Apps: the tenants.

use std::collections::BTreeMap;

use serde_json::json;

use super::order::Order;
use super::registries::{self, ChangeError, RegistryChange, Repositories};
use super::{pins, policy};
use crate::domain::app_settings::{KeptSettings, SettingsChange, SettingsLayer};
use crate::domain::apply::counting::connected_account;
use crate::domain::id::AppSlug;
use crate::domain::policy::Policy;
use crate::provider;
use crate::store::{App, PausedApp, Registry, Store, StoreError, Tx};
use crate::vault::VaultError;

/// Most apps of one store. Every receiver keeps the secrets of all of them in memory.
const MAX_APPS: u64 = 10_000;

/// Why an app was not made, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is no such app.
    #[error("there is no such app")]
    NotFound,
    /// There is one of this slug.
    #[error("there is an app of this slug")]
    Exists,
    /// The one of this slug is large, and not all of it is deleted yet.
    #[error("the app of this slug is still being deleted; try again in some minutes")]
    BeingDeleted,
    /// There are as many apps as there may be.
    #[error("there are {MAX_APPS} apps; delete one first")]
    TooMany,
    /// The app `default` always exists.
    #[error("the app `default` always exists")]
    Default,
    /// The environment says this setting, and only it can be changed there.
    #[error("`{0}` is set in the environment of the server and can be changed only there")]
    ReadOnly(&'static str),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The token of a repository could not be sealed.
    #[error("the token could not be sealed")]
    Vault(#[from] VaultError),
}

impl From<ChangeError> for AppError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Fixed => Self::ReadOnly("repository"),
            ChangeError::Store(error) => error.into(),
            ChangeError::Vault(error) => error.into(),
        }
    }
}

/// An app with its registry.
#[derive(Clone, Debug)]
pub struct AppWithRegistry {
    /// The app.
    pub app: App,
    /// Its registry.
    pub registry: Registry,
    /// Its pause; `None` while workers work for it.
    pub pause: Option<PausedApp>,
}

/// Lists all apps, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list(store: &Store) -> Result<Vec<AppWithRegistry>, StoreError> {
    let mut tx = store.read().await?;
    let mut registries = tx.registry_list().await?;
    let pauses = tx.pause_list(None).await?.into_iter();
    let mut pauses: BTreeMap<AppSlug, PausedApp> =
        pauses.map(|pause| (pause.app.clone(), pause)).collect();
    let apps = tx.app_list().await?.into_iter();
    let with_registry = |app: App| AppWithRegistry {
        registry: registries.remove(&app.slug).unwrap_or_default(),
        pause: pauses.remove(&app.slug),
        app,
    };
    Ok(apps.map(with_registry).collect())
}

/// Finds an app with its registry.
///
/// # Errors
/// When there is no such app.
pub async fn show(store: &Store, slug: &AppSlug) -> Result<AppWithRegistry, AppError> {
    let mut tx = store.read().await?;
    let app = tx.app_find(slug).await?.ok_or(AppError::NotFound)?;
    let registry = tx.registry_find(slug).await?;
    let pause = tx.pause_list(Some(slug)).await?.pop();
    Ok(AppWithRegistry {
        app,
        registry,
        pause,
    })
}

/// Finds an app.
///
/// # Errors
/// When there is no such app.
pub async fn find(store: &Store, slug: &AppSlug) -> Result<App, AppError> {
    let found = store.read().await?.app_find(slug).await?;
    found.ok_or(AppError::NotFound)
}

/// Makes the app of the order.
///
/// # Errors
/// When there is one of its slug, or there are too many.
pub async fn create(store: &Store, order: &Order, name: String) -> Result<App, AppError> {
    let app = App {
        slug: order.app.clone(),
        name,
        policy: Policy::default(),
        settings: KeptSettings::default(),
        created_at: order.now,
    };
    let mut tx = store.begin().await?;
    if !tx.app_add(&app).await? {
        let is_going = tx.app_is_being_deleted(&app.slug).await?;
        return Err(if is_going {
            AppError::BeingDeleted
        } else {
            AppError::Exists
        });
    }
    if tx.app_count().await? > MAX_APPS {
        return Err(AppError::TooMany);
    }
    let details = json!({"slug": app.slug, "from": null, "to": app.name});
    order.audit(&mut tx, None, "app_create", details).await?;
    tx.commit().await?;
    Ok(app)
}

/// A change of an app.
#[derive(Clone, Debug, Default)]
pub struct AppChange {
    /// Another name.
    pub name: Option<String>,
    /// Other settings.
    pub settings: SettingsChange,
    /// Another registry.
    pub registry: RegistryChange,
}

/// Changes the app of the order. Customers are derived anew if its settings change.
///
/// # Errors
/// When there is no such app, or the environment says a setting.
pub async fn change(
    store: &Store,
    repositories: &Repositories,
    order: &Order,
    change: AppChange,
) -> Result<AppWithRegistry, AppError> {
    let mut tx = store.begin_in(&order.app).await?;
    let found = tx.app_find(&order.app).await?;
    let mut app = found.ok_or(AppError::NotFound)?;
    if let Some(setting) = app.settings.fixed(&change.settings) {
        return Err(AppError::ReadOnly(setting));
    }
    if let Some(name) = change.name {
        tx.app_rename(&app.slug, &name).await?;
        let details = json!({"from": app.name, "to": name});
        order.audit(&mut tx, None, "app_rename", details).await?;
        app.name = name;
    }
    let registry = registries::change(&mut tx, repositories, order, change.registry).await?;
    let mut settings = app.settings.clone();
    settings.change(change.settings);
    let derives = put_settings(&mut tx, order, &mut app, settings).await?;
    let pause = tx.pause_list(Some(&order.app)).await?.pop();
    tx.commit().await?;
    if derives {
        policy::begin_walk(store, &order.app, order.now).await;
    }
    Ok(AppWithRegistry {
        app,
        registry,
        pause,
    })
}

/// Replaces what the environment says of the settings of an app. Part of the start of a server.
/// Returns whether customers have to be derived anew, for which a walk has begun.
///
/// # Errors
/// When the store fails.
pub(super) async fn put_environment(
    tx: &mut Tx,
    order: &Order,
    environment: &SettingsLayer,
) -> Result<bool, StoreError> {
    let Some(mut app) = tx.app_find(&order.app).await? else {
        return Ok(false);
    };
    let settings = KeptSettings {
        environment: environment.clone(),
        ..app.settings.clone()
    };
    put_settings(tx, order, &mut app, settings).await
}

/// Sets the settings of an app, if they are others.
async fn put_settings(
    tx: &mut Tx,
    order: &Order,
    app: &mut App,
    settings: KeptSettings,
) -> Result<bool, StoreError> {
    if settings == app.settings {
        return Ok(false);
    }
    let (before, after) = (app.settings.in_force(), settings.in_force());
    if before.identity.is_on() != after.identity.is_on() {
        pins::keep_seller_ids(tx, order, &after.identity).await?;
    }
    tx.app_settings_put(&app.slug, &settings).await?;
    let named = settings.in_force().connected_accounts;
    let accounts = named.iter().flat_map(|account| {
        provider::names().map(|provider| connected_account(provider, account.as_str()))
    });
    tx.flag_forget(&app.slug, &accounts.collect::<Vec<_>>())
        .await?;
    let details = json!({"from": app.settings, "to": settings});
    order.audit(tx, None, "app_settings", details).await?;
    app.settings = settings;
    Ok(true)
}
