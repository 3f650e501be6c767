//! Reading repositories again, for what was released since.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use super::error::{ComposerError, failed, repository_of};
use super::record::{record, seen_by_repository};
use crate::causes::chain;
use crate::composer::upstream::Freshness;
use crate::domain::access::versions::Scheme;
use crate::domain::time::Timestamp;
use crate::pipeline::order::Order;
use crate::pipeline::registries::Repositories;
use crate::store::{Actor, Store};

/// How many packages a refresh asks for at once.
const AT_ONCE: usize = 8;
/// The number of packages in a row after which a refresh gives up a repository that does not answer.
const MAX_FAILURES: usize = 5;

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
    // Branches matter to whoever has just published something, and otherwise once they are asked for.
    let with_branches = order.actor != Actor::Repository;
    let ask = |package: String| async move {
        let read = async |dev| {
            let found = upstream.package(repository, &package, dev, Freshness::Now);
            found.await
        };
        let mut found = read(false).await;
        if with_branches
            && let Ok(found) = &mut found
            && !found.is_mixed
        {
            match read(true).await {
                Ok(branches) => found.files.extend(branches.files),
                Err(error) => return (Err(error), package),
            }
        }
        (found, package)
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
