//! When the versions of packages came out: mostly as the last time, which the store says in a row for each
//! package.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::composer::released::Releases;
use crate::domain::access::release::Release;
use crate::domain::access::released::Released;
use crate::domain::access::versions::Scheme;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::offload;
use crate::store::{Store, StoreError};

/// A package of an app.
pub(super) type Package = (AppSlug, String);

/// Reads when the versions of these packages came out, each read in its scheme. Those without a release
/// are left out.
pub(super) async fn of_packages(
    store: &Store,
    kept: &Releases,
    packages: &BTreeMap<Package, Scheme>,
) -> Result<BTreeMap<Package, Arc<Released>>, StoreError> {
    let mut released = BTreeMap::new();
    if packages.is_empty() {
        return Ok(released);
    }
    let wanted: BTreeSet<Package> = packages.keys().cloned().collect();
    let mut changed = BTreeMap::new();
    for (package, mark) in store.release_marks(&wanted).await? {
        let scheme = packages.get(&package).copied().unwrap_or_default();
        match kept.get(&package.0, &package.1, scheme, mark) {
            Some(known) => drop(released.insert(package, known)),
            None => drop(changed.insert(package, (scheme, mark))),
        }
    }
    let wanted: BTreeSet<Package> = changed.keys().cloned().collect();
    let mut listed = store.releases_of(&wanted).await?;
    for (package, (scheme, mark)) in changed {
        let listed = listed.remove(&package).unwrap_or_default();
        let read = read(kept, &package, scheme, mark, listed).await;
        released.insert(package, read);
    }
    Ok(released)
}

/// Reads the releases of a package that were listed after this mark, and keeps them under it.
pub(super) async fn read(
    kept: &Releases,
    (app, package): &Package,
    scheme: Scheme,
    mark: Timestamp,
    listed: Vec<Release>,
) -> Arc<Released> {
    let (name, number) = (package.clone(), listed.len());
    let read = move || Arc::new(Released::of(scheme, &name, &listed));
    let released = offload::run(number, read).await;
    kept.put(app, package, scheme, mark, Arc::clone(&released));
    released
}
