//! Reading repositories for what was released.

use super::error::{ComposerError, failed, repository_of};
use crate::causes::chain;
use crate::composer::metadata::Listed;
use crate::composer::upstream::{Found, Freshness};
use crate::domain::access::release::Release;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::pipeline::order::Order;
use crate::pipeline::registries::Repositories;
use crate::pipeline::releases;
use crate::store::{Actor, NamedPackage, Store, StoreError};

/// The order of what a repository says.
pub(super) const fn seen_by_repository(app: AppSlug, now: Timestamp) -> Order {
    Order {
        app,
        actor: Actor::Repository,
        now,
    }
}

/// Records the releases of a package that the repository has; returns how many were new.
pub(super) async fn record(
    store: &Store,
    order: &Order,
    package: &str,
    found: &Found,
) -> Result<usize, StoreError> {
    let files = found.files.iter();
    let packages = files.filter_map(|file| file.metadata.packages.get(package));
    let versions = packages.flat_map(|package| &package.versions);
    let release = |listed: &Listed| {
        let version = listed
            .version
            .as_ref()
            .filter(|version| !version.is_dev())?;
        // Nothing was released in the future, whatever a clock said.
        let at = listed.time.map_or(order.now, |at| at.min(order.now));
        Release::new(package, &version.text, at).ok()
    };
    let seen = versions.filter_map(release).collect();
    let new = releases::note(store, order, package, seen).await?;
    for file in &found.files {
        file.set_recorded(&order.app, package);
    }
    Ok(new)
}

/// What a refresh found.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// How many packages the repository has of those that releases, plans or grants name.
    pub packages: usize,
    /// How many releases were recorded.
    pub releases: usize,
    /// The packages that could not be read.
    pub failed: Vec<String>,
}

/// Reads the repository of the order's app again: all packages that releases, plans or grants name.
///
/// # Errors
/// When the app has no repository, or that does not answer.
pub async fn refresh(
    store: &Store,
    repositories: &Repositories,
    order: &Order,
) -> Result<Refreshed, ComposerError> {
    let mut tx = store.read().await?;
    let registry = tx.registry_find(&order.app).await?;
    let named = tx.package_list(&order.app).await?;
    drop(tx);
    let repository = &repository_of(repositories, &order.app, &registry)?;
    let upstream = repositories.upstream();
    // Whether it answers at all is told by its root, once.
    let root = upstream.check(repository).await;
    root.map_err(|source| failed(&order.app, source))?;
    let mut refreshed = Refreshed::default();
    for NamedPackage { package, .. } in named {
        let found = upstream.package(repository, &package, false, Freshness::Now);
        match found.await {
            Ok(found) if found.files.is_empty() => {}
            Ok(found) => {
                refreshed.packages += 1;
                refreshed.releases += record(store, order, &package, &found).await?;
            }
            Err(error) => {
                tracing::warn!(
                    app = %order.app,
                    package,
                    error = chain(&error),
                    "reading a package of the Composer repository failed"
                );
                refreshed.failed.push(package);
            }
        }
    }
    Ok(refreshed)
}

/// Reads the repositories of all apps again, for what was released since. Failures are logged.
pub async fn refresh_all(store: &Store, repositories: &Repositories, now: Timestamp) {
    let apps = match repositories.apps(store).await {
        Ok(apps) => apps,
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "listing the Composer repositories failed"
            );
            return;
        }
    };
    for app in apps {
        let order = seen_by_repository(app, now);
        if let Err(error) = refresh(store, repositories, &order).await {
            tracing::warn!(
                app = %order.app,
                error = chain(&error),
                "reading the Composer repository failed; it is tried again in some minutes"
            );
        }
    }
}
