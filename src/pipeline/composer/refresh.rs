//! Reading repositories for what was released.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt, stream};

use super::error::{ComposerError, failed, repository_of};
use crate::causes::chain;
use crate::composer::metadata::Listed;
use crate::composer::upstream::{Found, Freshness, Loaded};
use crate::domain::access::release::{self, Release};
use crate::domain::access::versions::Scheme;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::pipeline::order::Order;
use crate::pipeline::registries::Repositories;
use crate::pipeline::releases;
use crate::store::{Actor, Store, StoreError};

/// How many packages a refresh asks for at once.
const AT_ONCE: usize = 8;
/// The number of packages in a row after which a refresh gives up a repository that does not answer.
const MAX_FAILURES: usize = 5;

/// The order of what a repository says.
pub(super) const fn seen_by_repository(app: AppSlug, now: Timestamp) -> Order {
    Order {
        app,
        actor: Actor::Repository,
        now,
    }
}

/// Records the releases of a package that the repository has; returns how many were new. Those of
/// files that are recorded are not looked at again, except on somebody's order.
pub(super) async fn record(
    store: &Store,
    order: &Order,
    package: &str,
    found: &Found,
) -> Result<usize, StoreError> {
    let is_recorded = |file: &Arc<Loaded>| file.is_recorded(&order.app, package);
    if order.actor == Actor::Repository && found.files.iter().all(is_recorded) {
        return Ok(0);
    }
    let versions = found.of(package).flat_map(|package| &package.versions);
    let release = |listed: &Listed| {
        let version = listed
            .version
            .as_ref()
            .filter(|version| !version.is_dev())?;
        // Nothing was released in the future, whatever a clock said.
        let at = listed.time.map_or(order.now, |at| at.min(order.now));
        let reference = listed.dist.as_ref().map(|dist| dist.reference.as_str());
        let reference = reference.and_then(|it| release::reference(it).ok());
        let release = Release::new(Scheme::Composer, package, &version.text, at).ok()?;
        Some(release.with_reference(reference.map(str::to_owned)))
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
    /// The packages that could not be read. Once several in a row could not, the rest is not tried.
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
    let composers = named.into_iter().filter(|it| it.scheme == Scheme::Composer);
    let mut unread: BTreeSet<String> = composers.map(|it| it.package).collect();
    let ask = |package: String| async move {
        let found = upstream.package(repository, &package, false, Freshness::Now);
        (found.await, package)
    };
    let asked: Vec<String> = unread.iter().cloned().collect();
    let mut answers = stream::iter(asked).map(ask).buffered(AT_ONCE);
    let mut refreshed = Refreshed::default();
    let mut in_a_row = 0;
    while let Some((found, package)) = answers.next().await {
        match found {
            Ok(found) => {
                in_a_row = 0;
                unread.remove(&package);
                if !found.files.is_empty() {
                    refreshed.packages += 1;
                    refreshed.releases += record(store, order, &package, &found).await?;
                }
            }
            Err(error) => {
                in_a_row = if error.is_away() { in_a_row + 1 } else { 0 };
                tracing::warn!(
                    app = %order.app,
                    package,
                    error = chain(&error),
                    "reading a package of the Composer repository failed"
                );
                // The others would wait for the same.
                if in_a_row == MAX_FAILURES {
                    break;
                }
            }
        }
    }
    refreshed.failed = unread.into_iter().collect();
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
