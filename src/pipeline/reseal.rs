//! The rotation of the secret key: everything that an old key sealed is sealed anew with the present
//! one, while servers run.
//!
//! Each secret and token is replaced in a transaction of its own, keys of licences and answers in
//! small sets; a text
//! is replaced only if it still is what was read. So a rotation may be interrupted and begun again at
//! any time, two at once do no harm, and nobody waits for one. Servers that have both keys can open a
//! secret before, between and after.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret;

use super::api_keys::sealed_for;
pub use super::reseal_error::ResealError;
use super::reseal_few::{of_hook, reseal_hook_secrets, reseal_repositories};
use super::secrets::purpose;
use crate::causes::chain;
use crate::domain::id::{AppSlug, Provider, SecretId};
use crate::domain::time::Timestamp;
use crate::store::idempotency::ResealedAnswer;
use crate::store::license::SealedLicenseKey;
use crate::store::secret::SealedSecret;
use crate::store::{SealedApiKey, Store, StoreError};
use crate::vault::{KeyId, KeyState, SealedFor, Vault};

/// Answers that are sealed anew in one transaction. One may have a megabyte.
const ANSWERS_AT_ONCE: i64 = 20;

/// Keys of licences that are read, and sealed anew in one transaction.
const LICENSES_AT_ONCE: i64 = 500;

/// Endpoints that one line of the log names.
const LOGGED: usize = 10;

/// What a rotation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// The number of webhook secrets that were sealed anew.
    pub secrets: u64,
    /// The number of secrets of hooks that were sealed anew.
    pub hook_secrets: u64,
    /// The number of keys of the providers' APIs that were sealed anew.
    pub api_keys: u64,
    /// The number of tokens of Composer repositories that were sealed anew.
    pub repositories: u64,
    /// The number of keys of licences that were sealed anew.
    pub licenses: u64,
    /// The number of kept answers that were sealed anew.
    pub answers: u64,
}

/// A webhook secret that the present key did not seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The app of its endpoint.
    pub app: AppSlug,
    /// The provider of its endpoint.
    pub provider: Provider,
    /// The secret.
    pub id: SecretId,
    /// The key that sealed it; `None` if it is damaged.
    pub key: Option<KeyId>,
}

/// What other keys than the present one have sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Webhook secrets that an old key opens.
    pub old_secrets: Vec<Remaining>,
    /// Webhook secrets that no key opens that is set.
    pub unknown_secrets: Vec<Remaining>,
    /// Apps whose token of a Composer repository an old key opens.
    pub old_repositories: Vec<AppSlug>,
    /// Apps whose token of a Composer repository no key opens that is set.
    pub unknown_repositories: Vec<AppSlug>,
    /// The number of secrets of hooks that an old key opens.
    pub old_hook_secrets: u64,
    /// The number of secrets of hooks that no key opens that is set.
    pub unknown_hook_secrets: u64,
    /// The number of keys of the providers' APIs that an old key opens.
    pub old_api_keys: u64,
    /// The number of keys of the providers' APIs that no key opens that is set.
    pub unknown_api_keys: u64,
    /// The number of licences whose key an old key opens.
    pub old_licenses: u64,
    /// The number of licences whose key no key opens that is set. They are still found by it, and
    /// valid; only nobody can be shown it.
    pub unknown_licenses: u64,
    /// The number of kept answers that an old key opens.
    pub old_answers: i64,
    /// The number of kept answers that no key opens that is set. They are gone in a day.
    pub unknown_answers: i64,
    /// The old keys that have sealed something of all this.
    pub old_keys_in_use: BTreeSet<KeyId>,
}

impl Survey {
    /// Says how many webhook secrets an old key has sealed, and of which endpoints.
    pub fn old_secrets_by_endpoint(&self) -> String {
        self.old_endpoints().join(", ")
    }

    fn old_endpoints(&self) -> Vec<String> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for secret in &self.old_secrets {
            let endpoint = format!("{}/{}", secret.app, secret.provider);
            *counts.entry(endpoint).or_default() += 1;
        }
        let counts = counts
            .iter()
            .map(|(name, count)| format!("{name}: {count}"));
        counts.collect()
    }
}

/// Finds out what is sealed with which key. Counts expired secrets too, which may be given a later
/// end.
///
/// # Errors
/// When the store failed.
pub async fn survey(store: &Store, vault: &Vault, now: Timestamp) -> Result<Survey, StoreError> {
    let mut tx = store.read().await?;
    let mut found = Survey::default();
    for SealedSecret { secret, sealed } in tx.secret_list_all().await? {
        let (state, key) = state_of(vault, purpose(&secret), &sealed);
        let remaining = Remaining {
            app: secret.app,
            provider: secret.provider,
            id: secret.id,
            key,
        };
        match state {
            KeyState::Current => continue,
            KeyState::Old => found.old_secrets.push(remaining),
            KeyState::Unknown => found.unknown_secrets.push(remaining),
        }
        found.note_key(state, key);
    }
    for (app, registry) in tx.registry_list().await? {
        let Some(sealed) = registry.sealed else {
            continue;
        };
        let what = SealedFor::Repository { app: &app };
        let (state, key) = state_of(vault, what, &sealed);
        match state {
            KeyState::Current => {}
            KeyState::Old => found.old_repositories.push(app),
            KeyState::Unknown => found.unknown_repositories.push(app),
        }
        found.note_key(state, key);
    }
    for secret in tx.hook_secret_list_all().await? {
        let (state, key) = state_of(vault, of_hook(&secret), &secret.sealed);
        match state {
            KeyState::Current => {}
            KeyState::Old => found.old_hook_secrets += 1,
            KeyState::Unknown => found.unknown_hook_secrets += 1,
        }
        found.note_key(state, key);
    }
    for key in tx.api_key_list_all().await? {
        let (state, by) = state_of(vault, sealed_for(&key), &key.sealed);
        match state {
            KeyState::Current => {}
            KeyState::Old => found.old_api_keys += 1,
            KeyState::Unknown => found.unknown_api_keys += 1,
        }
        found.note_key(state, by);
    }
    let mut after = String::new();
    loop {
        let keys = tx.license_list_sealed(&after, LICENSES_AT_ONCE).await?;
        let Some(last) = keys.last() else { break };
        after = last.id.to_string();
        for SealedLicenseKey {
            id,
            app,
            sealed_key,
        } in keys
        {
            let what = SealedFor::License { app: &app, id: &id };
            let (state, key) = state_of(vault, what, &sealed_key);
            match state {
                KeyState::Current => {}
                KeyState::Old => found.old_licenses += 1,
                KeyState::Unknown => found.unknown_licenses += 1,
            }
            found.note_key(state, key);
        }
    }
    for (key, count) in tx.idempotency_count_by_key(now).await? {
        let key = KeyId::from_bytes(&key);
        let state = vault.state(key);
        match state {
            KeyState::Current => {}
            KeyState::Old => found.old_answers += count,
            KeyState::Unknown => found.unknown_answers += count,
        }
        found.note_key(state, key);
    }
    Ok(found)
}

/// Counts the sealed webhook secrets, tokens of Composer repositories and keys of licences.
///
/// # Errors
/// When the store failed.
pub async fn count_sealed(store: &Store) -> Result<usize, StoreError> {
    let mut tx = store.read().await?;
    let secrets = tx.secret_list_all().await?.len();
    let registries = tx.registry_list().await?;
    let tokens = registries.iter().filter(|(_, it)| it.sealed.is_some());
    let licenses = tx.license_count_all().await?;
    let api_keys = tx.api_key_list_all().await?.len();
    let hooks = tx.hook_secret_list_all().await?.len();
    Ok(secrets + hooks + api_keys + tokens.count() + usize::try_from(licenses).unwrap_or_default())
}

/// Returns the state of the key that sealed a text, and which it is. A text that its key does not
/// open is damaged, and no rotation helps it.
fn state_of(vault: &Vault, what: SealedFor<'_>, sealed: &[u8]) -> (KeyState, Option<KeyId>) {
    let key = KeyId::of_sealed(sealed);
    let state = vault.state(key);
    if state != KeyState::Unknown && vault.open(what, sealed).is_err() {
        return (KeyState::Unknown, None);
    }
    (state, key)
}

impl Survey {
    fn note_key(&mut self, state: KeyState, key: Option<KeyId>) {
        if state == KeyState::Old {
            self.old_keys_in_use.extend(key);
        }
    }
}

/// Seals everything anew that an old key sealed. What no key opens stays as it is.
///
/// # Errors
/// See [`ResealError`]. May be repeated.
pub async fn reseal(store: &Store, vault: &Vault, now: Timestamp) -> Result<Resealed, ResealError> {
    Ok(Resealed {
        secrets: reseal_secrets(store, vault).await?,
        hook_secrets: reseal_hook_secrets(store, vault).await?,
        api_keys: reseal_api_keys(store, vault).await?,
        repositories: reseal_repositories(store, vault).await?,
        licenses: reseal_licenses(store, vault).await?,
        answers: reseal_answers(store, vault, now).await?,
    })
}

async fn reseal_secrets(store: &Store, vault: &Vault) -> Result<u64, ResealError> {
    let all = store.read().await?.secret_list_all().await?;
    let mut done = 0;
    for SealedSecret { secret, sealed } in all {
        let is_old = vault.state(KeyId::of_sealed(&sealed)) == KeyState::Old;
        let Some(text) = is_old
            .then(|| vault.open(purpose(&secret), &sealed).ok())
            .flatten()
        else {
            continue;
        };
        let anew = vault.seal(purpose(&secret), text.expose_secret())?;
        let mut tx = store.begin().await?;
        done += u64::from(tx.secret_reseal(&secret.id, sealed, anew).await?);
        tx.commit().await?;
    }
    Ok(done)
}

async fn reseal_api_keys(store: &Store, vault: &Vault) -> Result<u64, ResealError> {
    let all = store.read().await?.api_key_list_all().await?;
    let mut done = 0;
    for key in all {
        let is_old = vault.state(KeyId::of_sealed(&key.sealed)) == KeyState::Old;
        let text = is_old.then(|| vault.open(sealed_for(&key), &key.sealed).ok());
        let Some(text) = text.flatten() else {
            continue;
        };
        let anew = vault.seal(sealed_for(&key), text.expose_secret())?;
        let mut tx = store.begin().await?;
        let SealedApiKey {
            app,
            provider,
            sealed,
            ..
        } = key;
        done += u64::from(tx.api_key_reseal(&app, provider, sealed, anew).await?);
        tx.commit().await?;
    }
    Ok(done)
}

async fn reseal_licenses(store: &Store, vault: &Vault) -> Result<u64, ResealError> {
    let (mut done, mut after) = (0, String::new());
    loop {
        let mut tx = store.read().await?;
        let found = tx.license_list_sealed(&after, LICENSES_AT_ONCE).await?;
        drop(tx);
        let Some(last) = found.last() else {
            return Ok(done);
        };
        after = last.id.to_string();
        let mut anew = Vec::new();
        for key in found {
            if vault.state(KeyId::of_sealed(&key.sealed_key)) != KeyState::Old {
                continue;
            }
            let (app, id) = (&key.app, &key.id);
            let what = SealedFor::License { app, id };
            let Ok(text) = vault.open(what, &key.sealed_key) else {
                continue;
            };
            let to = vault.seal(what, text.expose_secret())?;
            anew.push((key, to));
        }
        if anew.is_empty() {
            continue;
        }
        let mut tx = store.begin().await?;
        done += tx.license_reseal(&anew).await?;
        tx.commit().await?;
    }
}

async fn reseal_answers(store: &Store, vault: &Vault, now: Timestamp) -> Result<u64, ResealError> {
    let key = vault.key_id();
    let (mut done, mut after) = (0, String::new());
    loop {
        let mut tx = store.read().await?;
        let found = tx
            .idempotency_list_sealed_otherwise(key.as_bytes(), &after, ANSWERS_AT_ONCE, now)
            .await?;
        drop(tx);
        let Some(last) = found.last() else {
            return Ok(done);
        };
        after.clone_from(&last.id);
        let mut anew = Vec::new();
        for from in found {
            let what = SealedFor::Answer { id: &from.id };
            let Ok(text) = vault.open(what, &from.sealed) else {
                continue;
            };
            let to = vault.seal(what, text.expose_secret())?;
            anew.push(ResealedAnswer { from, to });
        }
        if anew.is_empty() {
            continue;
        }
        let mut tx = store.begin().await?;
        done += tx.idempotency_reseal(&anew).await?;
        tx.commit().await?;
    }
}

/// Writes into the log, at the start of a server that has old keys, whether they are still needed.
pub async fn tell_of_old_keys(store: &Store, vault: &Vault, now: Timestamp) {
    if vault.old_key_ids().is_empty() {
        return;
    }
    match survey(store, vault, now).await {
        Ok(found) if found.old_keys_in_use.is_empty() => tracing::info!(
            "nothing is sealed with the old secret keys any more: they can be removed once every \
             process has the new one"
        ),
        Ok(found) => {
            let mut endpoints = found.old_endpoints();
            endpoints.truncate(LOGGED);
            tracing::warn!(
                secrets = found.old_secrets.len(),
                endpoints = %endpoints.join(", "),
                repositories = found.old_repositories.len(),
                licenses = found.old_licenses,
                answers = found.old_answers,
                "something is still sealed with an old secret key: `tollgate rotate-key` seals it \
                 anew"
            );
        }
        Err(error) => tracing::warn!(
            error = chain(&error),
            "it could not be found out what is sealed with the old secret keys"
        ),
    }
}
