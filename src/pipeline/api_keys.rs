//! Keys of the providers' APIs. They are sealed when they come in and never shown.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::order::Order;
use crate::domain::id::Provider;
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;
use crate::provider::api::key_mode;
use crate::provider::{self, STRIPE};
use crate::store::{SealedApiKey, Store, StoreError, Tx};
use crate::vault::{KeyId, SealedFor, Vault, VaultError};

/// Why a key was not set or removed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// The app has no key for this provider.
    #[error("the app has no such key")]
    NotFound,
    /// The settings of the servers say it.
    #[error("the key is set in the environment of the server and can be changed only there")]
    ReadOnly,
    /// The key is of another mode than all secrets of the endpoint.
    #[error("is a {key} key, and the endpoint's webhook secrets are {secrets} ones")]
    OtherMode {
        /// Of the key.
        key: Mode,
        /// Of the secrets.
        secrets: Mode,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The key could not be sealed.
    #[error("the key could not be sealed")]
    Vault(#[from] VaultError),
}

/// A key, without its text.
#[derive(Clone, Debug)]
pub struct ApiKeyInfo {
    /// Whose data it opens.
    pub mode: Mode,
    /// Time at which it was set.
    pub created_at: Timestamp,
    /// The key that sealed it.
    pub sealed_with: Option<KeyId>,
}

/// The purpose with which a key is sealed.
pub(super) fn sealed_for(key: &SealedApiKey) -> SealedFor<'_> {
    SealedFor::ApiKey {
        app: &key.app,
        provider: key.provider,
    }
}

/// Sets the key of an app for a provider, in place of the one that is there.
///
/// # Errors
/// See [`KeyError`].
pub async fn put(
    store: &Store,
    vault: &Vault,
    order: &Order,
    provider: Provider,
    text: &SecretString,
) -> Result<ApiKeyInfo, KeyError> {
    let mut tx = store.begin().await?;
    if tx.app_find(&order.app).await?.is_none() {
        return Err(KeyError::NoApp);
    }
    let known = tx.api_key_find(&order.app, provider).await?;
    if known.is_some_and(|it| it.of_settings) {
        return Err(KeyError::ReadOnly);
    }
    let mode = key_mode(text);
    refuse_other_mode(&mut tx, order, provider, mode).await?;
    let sealed = add(&mut tx, vault, order, provider, (text, false)).await?;
    tx.commit().await?;
    Ok(ApiKeyInfo {
        mode,
        created_at: order.now,
        sealed_with: KeyId::of_sealed(&sealed),
    })
}

/// Removes the key of an app for a provider, with the questions that wait to be asked with it.
///
/// # Errors
/// See [`KeyError`].
pub async fn remove(store: &Store, order: &Order, provider: Provider) -> Result<(), KeyError> {
    let mut tx = store.begin().await?;
    if tx.app_find(&order.app).await?.is_none() {
        return Err(KeyError::NoApp);
    }
    let known = tx.api_key_find(&order.app, provider).await?;
    if known.ok_or(KeyError::NotFound)?.of_settings {
        return Err(KeyError::ReadOnly);
    }
    delete(&mut tx, order, provider).await?;
    Ok(tx.commit().await?)
}

/// Puts the keys of the settings in place. Part of the start of a server that has a worker: the
/// others need no keys, and one that lacks them must not take the workers' away.
///
/// # Errors
/// When the store fails, or a key cannot be sealed.
pub async fn put_settings(
    store: &Store,
    vault: &Vault,
    order: &Order,
    keys: &BTreeMap<Provider, SecretString>,
) -> Result<(), KeyError> {
    let mut tx = store.begin_in(&order.app).await?;
    for provider in provider::names() {
        let known = tx.api_key_find(&order.app, provider).await?;
        let Some(text) = keys.get(&provider) else {
            if known.is_some_and(|it| it.of_settings) {
                delete(&mut tx, order, provider).await?;
            }
            continue;
        };
        let is_same = known.is_some_and(|it| {
            let opened = vault.open(sealed_for(&it), &it.sealed).ok();
            let is_same = |it: SecretString| it.expose_secret() == text.expose_secret();
            it.of_settings && opened.is_some_and(is_same)
        });
        if !is_same {
            add(&mut tx, vault, order, provider, (text, true)).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// Puts those keys of the settings in place of which there is none. Part of a command, whose settings need
/// not be those of the servers: the key that they have stays, and one that they lack they drop when a worker
/// starts.
///
/// # Errors
/// When the store fails, or a key cannot be sealed.
pub async fn add_settings(
    store: &Store,
    vault: &Vault,
    order: &Order,
    keys: &BTreeMap<Provider, SecretString>,
) -> Result<(), KeyError> {
    let mut tx = store.begin_in(&order.app).await?;
    for (&provider, text) in keys {
        if tx.api_key_find(&order.app, provider).await?.is_none() {
            add(&mut tx, vault, order, provider, (text, true)).await?;
        }
    }
    Ok(tx.commit().await?)
}

async fn add(
    tx: &mut Tx,
    vault: &Vault,
    order: &Order,
    provider: Provider,
    (text, of_settings): (&SecretString, bool),
) -> Result<Vec<u8>, KeyError> {
    let before = tx.api_key_find(&order.app, provider).await?;
    let mut key = SealedApiKey {
        app: order.app.clone(),
        provider,
        sealed: Vec::new(),
        of_settings,
        created_at: order.now,
    };
    key.sealed = vault.seal(sealed_for(&key), text.expose_secret())?;
    tx.api_key_put(&key).await?;
    let to = json!({"mode": key_mode(text)});
    let details = json!({"provider": provider, "from": described(before.as_ref()), "to": to});
    order.audit(tx, None, "api_key_put", details).await?;
    Ok(key.sealed)
}

/// A key for the audit, without its text.
fn described(key: Option<&SealedApiKey>) -> Value {
    key.map_or(
        Value::Null,
        |it| json!({"created_at": it.created_at.exact()}),
    )
}

async fn delete(tx: &mut Tx, order: &Order, provider: Provider) -> Result<(), StoreError> {
    let before = tx.api_key_find(&order.app, provider).await?;
    tx.api_key_delete(&order.app, provider).await?;
    tx.refetch_forget(&order.app, provider).await?;
    let details = json!({
        "provider": provider, "from": described(before.as_ref()), "to": null,
    });
    order.audit(tx, None, "api_key_delete", details).await
}

/// Objects of the other mode than the webhooks' are other objects: nothing would be found.
async fn refuse_other_mode(
    tx: &mut Tx,
    order: &Order,
    provider: Provider,
    key: Mode,
) -> Result<(), KeyError> {
    let secrets = tx.secret_list(&order.app, provider).await?;
    let current = secrets.into_iter().map(|it| it.secret);
    let current = current.filter(|it| it.expires_at.is_none_or(|end| end > order.now));
    let modes: Vec<Mode> = current
        .map(|it| match it.mode {
            // Of Paddle's that says nothing: its payloads do not tell their mode.
            Mode::Any if it.live_since.is_some() && provider == STRIPE.name => Mode::Live,
            mode => mode,
        })
        .collect();
    let fits = |mode: &Mode| *mode == Mode::Any || *mode == key;
    match modes.first() {
        Some(&secrets) if key != Mode::Any && !modes.iter().any(fits) => {
            Err(KeyError::OtherMode { key, secrets })
        }
        _ => Ok(()),
    }
}
