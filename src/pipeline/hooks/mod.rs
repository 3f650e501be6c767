//! Webhooks of an app's own: who is told of its changes.

mod address;
mod deliver;
mod destination;
mod sender;
mod shown;
mod signature;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::order::Order;
use crate::domain::announcement::{Announcement, TEST};
use crate::domain::customer::flag::FlagHolder;
use crate::domain::customer::profile::Given;
use crate::domain::hook::{DeliveryState, DisabledBecause, HookBody, HookStatus};
use crate::domain::id::{AppSlug, DeliveryId, HookId, HookSecretId};
use crate::domain::time::Timestamp;
use crate::random::{self, RandomError};
use crate::store::hook::{Hook, SealedHookSecret};
use crate::store::hook_delivery::{DeliveryFilter, HookDelivery};
use crate::store::{Listed, Store, StoreError, Tx, Window};
use crate::vault::{SealedFor, Vault, VaultError};

pub use deliver::{Delivered, Deliveries};
pub use destination::Destinations;
pub use sender::HookSender;
use shown::described;
pub use shown::shown_to;

/// Most hooks of one app: each is asked for at every change.
const MAX_HOOKS: usize = 20;

/// Most secrets of a hook that go on signing beside the newest: each is a signature in a header.
const OLD_SECRETS: i64 = 4;

/// Why nothing was done about a hook.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// The app has no such hook.
    #[error("the app has no such hook")]
    NotFound,
    /// The hook has no such delivery.
    #[error("the hook has no such delivery")]
    NoDelivery,
    /// It is disabled, and nothing is delivered to it.
    #[error("the hook is disabled; enable it first")]
    Disabled,
    /// The app has as many hooks as it may have.
    #[error("the app has {MAX_HOOKS} hooks; remove one first")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The secret could not be sealed.
    #[error("the secret could not be sealed")]
    Vault(#[from] VaultError),
    /// There is no randomness.
    #[error("no id could be made")]
    Random(#[from] RandomError),
}

/// A hook that is wanted.
#[derive(Clone, Debug)]
pub struct NewHook {
    /// Where deliveries go.
    pub url: String,
    /// The kinds of changes.
    pub kinds: Vec<String>,
    /// What bodies hold.
    pub body: HookBody,
    /// What it is for.
    pub description: Option<String>,
}

/// What is to be changed of a hook. What is not given stays.
#[derive(Clone, Debug, Default)]
pub struct HookChange {
    /// Where deliveries go.
    pub url: Option<String>,
    /// The kinds of changes.
    pub kinds: Option<Vec<String>>,
    /// What bodies hold.
    pub body: Option<HookBody>,
    /// What it is for; null clears.
    pub description: Given<String>,
    /// Whether it is delivered to.
    pub status: Option<HookStatus>,
}

/// A hook and a secret of it, which is shown this once.
#[derive(Debug)]
pub struct HookWithSecret {
    /// The hook.
    pub hook: Hook,
    /// The secret.
    pub secret: SecretString,
}

async fn refuse_unknown(tx: &mut Tx, app: &AppSlug) -> Result<(), HookError> {
    match tx.app_find(app).await? {
        Some(_) => Ok(()),
        None => Err(HookError::NoApp),
    }
}

/// A hook by the text of a path. A text that is no id names none.
async fn known(tx: &mut Tx, app: &AppSlug, id: &str) -> Result<Hook, HookError> {
    refuse_unknown(tx, app).await?;
    let id: HookId = id.parse().map_err(|_| HookError::NotFound)?;
    tx.hook_find(app, &id).await?.ok_or(HookError::NotFound)
}

/// Lists the hooks of an app.
///
/// # Errors
/// When there is no such app.
pub async fn list(store: &Store, app: &AppSlug) -> Result<Vec<Hook>, HookError> {
    let mut tx = store.read().await?;
    refuse_unknown(&mut tx, app).await?;
    Ok(tx.hook_list(app).await?)
}

/// Finds a hook.
///
/// # Errors
/// When there is none.
pub async fn find(store: &Store, app: &AppSlug, id: &str) -> Result<Hook, HookError> {
    known(&mut store.read().await?, app, id).await
}

/// Makes a hook. It is told of what changes from now on.
///
/// # Errors
/// When there is no such app, or it has too many hooks.
pub async fn create(
    store: &Store,
    vault: &Vault,
    order: &Order,
    new: NewHook,
) -> Result<HookWithSecret, HookError> {
    let mut tx = store.begin_in(&order.app).await?;
    refuse_unknown(&mut tx, &order.app).await?;
    if tx.hook_list(&order.app).await?.len() >= MAX_HOOKS {
        return Err(HookError::TooMany);
    }
    let hook = Hook {
        id: HookId::from_uuid(random::uuid(order.now)?),
        app: order.app.clone(),
        url: new.url,
        kinds: new.kinds,
        body: new.body,
        description: new.description,
        status: HookStatus::Enabled,
        reason: None,
        created_at: order.now,
        updated_at: order.now,
        failing_since: None,
        failures: 0,
    };
    tx.hook_add(&hook).await?;
    let secret = add_secret(&mut tx, vault, &hook, order.now).await?;
    let details = json!({"id": hook.id, "from": null, "to": described(&hook)});
    order.audit(&mut tx, None, "hook_create", details).await?;
    tx.commit().await?;
    Ok(HookWithSecret { hook, secret })
}

async fn add_secret(
    tx: &mut Tx,
    vault: &Vault,
    hook: &Hook,
    now: Timestamp,
) -> Result<SecretString, HookError> {
    let secret = signature::secret()?;
    let id = HookSecretId::from_uuid(random::uuid(now)?);
    let what = SealedFor::HookSecret {
        app: &hook.app,
        id: &id,
    };
    let sealed = vault.seal(what, secret.expose_secret())?;
    tx.hook_secret_add(&SealedHookSecret {
        id,
        app: hook.app.clone(),
        hook: hook.id.clone(),
        sealed,
        created_at: now,
        expires_at: None,
    })
    .await?;
    Ok(secret)
}

/// Changes a hook. What waits is delivered as the hook is from now on.
///
/// # Errors
/// When there is none.
pub async fn change(
    store: &Store,
    order: &Order,
    id: &str,
    wanted: HookChange,
) -> Result<Hook, HookError> {
    let mut tx = store.begin_in(&order.app).await?;
    let before = known(&mut tx, &order.app, id).await?;
    let mut hook = before.clone();
    if let Some(url) = wanted.url {
        hook.url = url;
    }
    if let Some(kinds) = wanted.kinds {
        hook.kinds = kinds;
    }
    if let Some(body) = wanted.body {
        hook.body = body;
    }
    if let Some(description) = wanted.description {
        hook.description = description;
    }
    if let Some(status) = wanted.status.filter(|it| *it != hook.status) {
        hook.status = status;
        hook.reason = (status == HookStatus::Disabled).then_some(DisabledBecause::Admin);
        tx.flag_drop(&order.app, &FlagHolder::Hook(hook.id.clone()))
            .await?;
    }
    if hook != before {
        hook.updated_at = order.now;
        tx.hook_put(&hook).await?;
        // Tried anew.
        (hook.failing_since, hook.failures) = (None, 0);
        let is_back = before.status == HookStatus::Disabled && hook.status == HookStatus::Enabled;
        if is_back || hook.url != before.url {
            // What waits may be due later only, and the receiver takes it now.
            tx.delivery_hasten(&hook.id, order.now).await?;
        }
        let details = json!({"id": hook.id, "from": described(&before), "to": described(&hook)});
        order.audit(&mut tx, None, "hook_change", details).await?;
        tx.commit().await?;
    }
    Ok(hook)
}

/// Removes a hook, and what waits for it.
///
/// # Errors
/// When there is none.
pub async fn remove(store: &Store, order: &Order, id: &str) -> Result<(), HookError> {
    let mut tx = store.begin_in(&order.app).await?;
    let hook = known(&mut tx, &order.app, id).await?;
    tx.hook_delete(&order.app, &hook.id).await?;
    tx.flag_drop(&order.app, &FlagHolder::Hook(hook.id.clone()))
        .await?;
    let details = json!({"id": hook.id, "from": described(&hook), "to": null});
    order.audit(&mut tx, None, "hook_delete", details).await?;
    Ok(tx.commit().await?)
}

/// Gives a hook another secret. Those before sign too for some time, each no longer than it was to: the answer
/// to a rotation may be lost, and then the receiver has the one before the one before.
///
/// # Errors
/// When there is none.
pub async fn rotate_secret(
    store: &Store,
    vault: &Vault,
    order: &Order,
    id: &str,
    overlap: Duration,
) -> Result<HookWithSecret, HookError> {
    let mut tx = store.begin_in(&order.app).await?;
    let hook = known(&mut tx, &order.app, id).await?;
    let end = order.now.plus(overlap);
    tx.hook_secret_retire(&hook.id, end, order.now, OLD_SECRETS)
        .await?;
    let secret = add_secret(&mut tx, vault, &hook, order.now).await?;
    let details = json!({"id": hook.id, "old_expires_at": end.exact()});
    order.audit(&mut tx, None, "hook_rotate", details).await?;
    tx.commit().await?;
    Ok(HookWithSecret { hook, secret })
}

/// Lists the deliveries of a hook, newest first.
///
/// # Errors
/// When there is no such hook.
pub async fn deliveries(
    store: &Store,
    app: &AppSlug,
    id: &str,
    filter: &DeliveryFilter,
    window: &Window,
) -> Result<Listed<HookDelivery>, HookError> {
    let mut tx = store.read().await?;
    let hook = known(&mut tx, app, id).await?;
    Ok(tx.delivery_list(&hook.id, filter, window).await?)
}

/// Finds a delivery of a hook.
///
/// # Errors
/// When there is no such hook or delivery.
pub async fn find_delivery(
    store: &Store,
    app: &AppSlug,
    id: &str,
    delivery: &str,
) -> Result<HookDelivery, HookError> {
    let mut tx = store.read().await?;
    let hook = known(&mut tx, app, id).await?;
    let delivery = delivery.parse().map_err(|_| HookError::NoDelivery)?;
    found(&mut tx, &hook, &delivery).await
}

/// Delivers the same change again, under the same id. One that still waits for a try is tried now
/// instead, since its copy would come after it, and so is what waits of the same customer before it.
///
/// # Errors
/// When there is no such hook or delivery, or the hook is disabled.
pub async fn resend(
    store: &Store,
    order: &Order,
    id: &str,
    delivery: &str,
) -> Result<HookDelivery, HookError> {
    let mut tx = store.begin_in(&order.app).await?;
    let hook = enabled(&mut tx, &order.app, id).await?;
    let delivery: DeliveryId = delivery.parse().map_err(|_| HookError::NoDelivery)?;
    let delivery = found(&mut tx, &hook, &delivery).await?;
    // Before the deliveries, as all who write both.
    tx.hook_wake(&hook.id, order.now).await?;
    let again = match delivery.state {
        DeliveryState::Waiting => delivery.id.clone(),
        DeliveryState::Delivered | DeliveryState::Failed => tx
            .delivery_again(&order.app, &delivery, order.now)
            .await?
            .ok_or(HookError::NoDelivery)?,
    };
    tx.delivery_hasten_one(&delivery, order.now).await?;
    let details = json!({"id": hook.id, "delivery": delivery.id, "to": again});
    let of = delivery.customer.as_ref();
    order.audit(&mut tx, of, "hook_resend", details).await?;
    let again = found(&mut tx, &hook, &again).await?;
    tx.commit().await?;
    Ok(again)
}

/// Delivers something that changes nothing, to try a hook.
///
/// # Errors
/// When there is no such hook, or it is disabled.
pub async fn test(store: &Store, order: &Order, id: &str) -> Result<HookDelivery, HookError> {
    let mut tx = store.begin_in(&order.app).await?;
    let hook = enabled(&mut tx, &order.app, id).await?;
    let mut data = Map::new();
    data.insert("hook_id".to_owned(), Value::from(hook.id.as_str()));
    let change = Announcement {
        app: order.app.clone(),
        customer: None,
        kind: TEST,
        occurred_at: order.now,
        data,
    };
    let delivery = tx.change_add_test(&hook.id, &change).await?;
    tx.hook_wake(&hook.id, order.now).await?;
    let details = json!({"id": hook.id, "delivery": delivery});
    order.audit(&mut tx, None, "hook_test", details).await?;
    let delivery = found(&mut tx, &hook, &delivery).await?;
    tx.commit().await?;
    Ok(delivery)
}

async fn enabled(tx: &mut Tx, app: &AppSlug, id: &str) -> Result<Hook, HookError> {
    let hook = known(tx, app, id).await?;
    match hook.status {
        HookStatus::Enabled => Ok(hook),
        HookStatus::Disabled => Err(HookError::Disabled),
    }
}

async fn found(tx: &mut Tx, hook: &Hook, id: &DeliveryId) -> Result<HookDelivery, HookError> {
    let found = tx.delivery_find(&hook.id, id).await?;
    found.ok_or(HookError::NoDelivery)
}
