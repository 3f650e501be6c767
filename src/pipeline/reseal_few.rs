//! The part of a rotation of the secret key that is about secrets of which an app has few: those of
//! hooks, and the token of its Composer repository.

use secrecy::ExposeSecret;

use super::reseal_error::ResealError;
use crate::store::Store;
use crate::store::hook::SealedHookSecret;
use crate::vault::{KeyId, KeyState, SealedFor, Vault};

/// What a secret of a hook is sealed for.
pub(super) fn of_hook(secret: &SealedHookSecret) -> SealedFor<'_> {
    SealedFor::HookSecret {
        app: &secret.app,
        id: &secret.id,
    }
}

/// Seals the secrets of hooks anew that an old key sealed.
pub(super) async fn reseal_hook_secrets(store: &Store, vault: &Vault) -> Result<u64, ResealError> {
    let all = store.read().await?.hook_secret_list_all().await?;
    let mut done = 0;
    for secret in all {
        let is_old = vault.state(KeyId::of_sealed(&secret.sealed)) == KeyState::Old;
        let text = is_old.then(|| vault.open(of_hook(&secret), &secret.sealed).ok());
        let Some(text) = text.flatten() else {
            continue;
        };
        let anew = vault.seal(of_hook(&secret), text.expose_secret())?;
        let mut tx = store.begin().await?;
        let done_one = tx
            .hook_secret_reseal(&secret.id, secret.sealed, anew)
            .await?;
        done += u64::from(done_one);
        tx.commit().await?;
    }
    Ok(done)
}

/// Seals the tokens of Composer repositories anew that an old key sealed.
pub(super) async fn reseal_repositories(store: &Store, vault: &Vault) -> Result<u64, ResealError> {
    let all = store.read().await?.registry_list().await?;
    let mut done = 0;
    for (app, registry) in all {
        let what = SealedFor::Repository { app: &app };
        let is_old = |it: &Vec<u8>| vault.state(KeyId::of_sealed(it)) == KeyState::Old;
        let Some(sealed) = registry.sealed.filter(is_old) else {
            continue;
        };
        let Ok(text) = vault.open(what, &sealed) else {
            continue;
        };
        let anew = vault.seal(what, text.expose_secret())?;
        let mut tx = store.begin().await?;
        done += u64::from(tx.registry_reseal(&app, sealed, anew).await?);
        tx.commit().await?;
    }
    Ok(done)
}
