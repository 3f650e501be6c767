//! The Composer repositories of apps: where they are, and what opens them.
//!
//! The one of the environment is that of the app `default` in this process, and is kept nowhere: a
//! folder means something on one machine only. Those that the API names are kept, their tokens
//! sealed.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::order::Order;
use crate::composer::answers::Answers;
use crate::composer::location::{Location, Repository};
use crate::composer::released::Releases;
use crate::composer::upstream::Upstream;
use crate::domain::customer::profile::Given;
use crate::domain::id::AppSlug;
use crate::store::{Registry, Store, StoreError, Tx};
use crate::vault::{SealedFor, Vault, VaultError};

/// Knows the repositories. Cheap to clone.
#[derive(Clone)]
pub struct Repositories(Arc<Inner>);

struct Inner {
    upstream: Upstream,
    answers: Answers,
    releases: Releases,
    vault: Vault,
    fixed: Option<Repository>,
}

/// A repository that cannot be used as it is kept.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// Its token was sealed with another key.
    #[error("the token of the repository does not open with the present TOLLGATE_SECRET_KEY")]
    Sealed,
    /// Its address is none.
    #[error("the address of the repository is {0}")]
    Address(String),
}

/// A change of an app's registry; null sets a part back.
#[derive(Clone, Debug, Default)]
pub struct RegistryChange {
    /// Where the repository is.
    pub repository: Given<NewRepository>,
    /// What customers are told who are held: the text and the address.
    pub held: Given<(Option<String>, Option<String>)>,
}

/// Another repository.
#[derive(Clone, Debug)]
pub struct NewRepository {
    /// Its URL, which is one.
    pub url: String,
    /// What opens it. If nothing is said, the present token stays as long as the URL leads to the
    /// same server.
    pub token: Given<SecretString>,
}

/// Never shows what a vault or a client holds.
impl std::fmt::Debug for Repositories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Repositories")
    }
}

impl RegistryChange {
    /// True if nothing is to be changed.
    pub const fn is_empty(&self) -> bool {
        self.repository.is_none() && self.held.is_none()
    }
}

impl Repositories {
    /// Makes one of its parts. `fixed` is the repository of the environment.
    pub fn new(upstream: Upstream, vault: Vault, fixed: Option<Repository>) -> Self {
        Self(Arc::new(Inner {
            upstream,
            answers: Answers::default(),
            releases: Releases::default(),
            vault,
            fixed,
        }))
    }

    /// Reads repositories.
    pub(super) fn upstream(&self) -> &Upstream {
        &self.0.upstream
    }

    /// Keeps what is written of them for customers.
    pub(super) fn answers(&self) -> &Answers {
        &self.0.answers
    }

    /// Keeps when versions came out.
    pub fn releases(&self) -> &Releases {
        &self.0.releases
    }

    /// Returns the repository that the environment names for an app.
    pub fn fixed(&self, app: &AppSlug) -> Option<&Repository> {
        let fixed = self.0.fixed.as_ref();
        fixed.filter(|_| *app == AppSlug::default_app())
    }

    /// Returns the repository of an app, given what is kept of it; `None` if it has none.
    ///
    /// # Errors
    /// See [`RepositoryError`].
    pub fn of(
        &self,
        app: &AppSlug,
        kept: &Registry,
    ) -> Result<Option<Repository>, RepositoryError> {
        if let Some(fixed) = self.fixed(app) {
            return Ok(Some(fixed.clone()));
        }
        let Some(url) = &kept.url else {
            return Ok(None);
        };
        let location = Location::parse_url(url).map_err(RepositoryError::Address)?;
        let open = |sealed: &Vec<u8>| self.0.vault.open(SealedFor::Repository { app }, sealed);
        let token = kept.sealed.as_ref().map(open).transpose();
        Ok(Some(Repository {
            location,
            token: token.map_err(|_| RepositoryError::Sealed)?,
        }))
    }

    /// Lists the apps that have a repository.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn apps(&self, store: &Store) -> Result<Vec<AppSlug>, StoreError> {
        let kept = store.read().await?.registry_list().await?;
        let named = kept.into_iter().filter(|(_, it)| it.url.is_some());
        let mut apps: Vec<AppSlug> = named.map(|(app, _)| app).collect();
        let default = AppSlug::default_app();
        if self.0.fixed.is_some() && !apps.contains(&default) {
            apps.push(default);
        }
        Ok(apps)
    }

    /// Seals the token of an app's repository.
    fn seal(&self, app: &AppSlug, token: &SecretString) -> Result<Vec<u8>, VaultError> {
        let what = SealedFor::Repository { app };
        self.0.vault.seal(what, token.expose_secret())
    }
}

/// Why a registry was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The environment names the repository.
    #[error("the environment names the repository")]
    Fixed,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The token could not be sealed.
    #[error("the token could not be sealed")]
    Vault(#[from] VaultError),
}

/// Changes the registry of the order's app, in its transaction; returns it as it is then.
pub(super) async fn change(
    tx: &mut Tx,
    repositories: &Repositories,
    order: &Order,
    change: RegistryChange,
) -> Result<Registry, ChangeError> {
    let before = tx.registry_find(&order.app).await?;
    let mut after = before.clone();
    if let Some(repository) = change.repository {
        if repositories.fixed(&order.app).is_some() {
            return Err(ChangeError::Fixed);
        }
        put(&mut after, repositories, &order.app, repository)?;
    }
    if let Some(held) = change.held {
        (after.held_text, after.held_url) = held.unwrap_or_default();
    }
    if after != before {
        tx.registry_put(&order.app, &after).await?;
        let details = json!({"from": shown(&before), "to": shown(&after)});
        order.audit(tx, None, "app_registry", details).await?;
    }
    Ok(after)
}

fn put(
    registry: &mut Registry,
    repositories: &Repositories,
    app: &AppSlug,
    repository: Option<NewRepository>,
) -> Result<(), VaultError> {
    let Some(NewRepository { url, token }) = repository else {
        registry.url = None;
        registry.sealed = None;
        return Ok(());
    };
    let before = registry.url.as_deref();
    match token {
        Some(token) => {
            let seal = |token| repositories.seal(app, &token);
            registry.sealed = token.map(seal).transpose()?;
        }
        // A token is shown to nobody but the server that it was given for.
        None if !before.is_some_and(|before| is_same_server(before, &url)) => {
            registry.sealed = None;
        }
        None => {}
    }
    registry.url = Some(url);
    Ok(())
}

fn is_same_server(one: &str, other: &str) -> bool {
    match (Location::parse_url(one), Location::parse_url(other)) {
        (Ok(Location::Url(one)), Ok(Location::Url(other))) => one.origin() == other.origin(),
        _ => false,
    }
}

/// What the audit shows of a registry: of the token only whether there is one.
fn shown(registry: &Registry) -> Value {
    json!({
        "repository": registry.url.as_ref().map(|url| json!({
            "url": url, "token_set": registry.sealed.is_some(),
        })),
        "held_message": {"text": registry.held_text, "url": registry.held_url},
    })
}
