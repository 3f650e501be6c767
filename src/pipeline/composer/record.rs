//! Recording what a repository has: releases with their times, and the archives of branches.
//!
//! A branch moves on under its name, and what it was is gone from the metadata, but not from the
//! repository's archives. A project's lock names the commit that it was made with, so what a branch
//! was made of is remembered as long as there is room.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::composer::metadata::Listed;
use crate::composer::upstream::{Found, Recorded};
use crate::domain::access::release::{self, Release};
use crate::domain::access::versions::Scheme;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::pipeline::order::Order;
use crate::pipeline::releases;
use crate::store::{Actor, BranchArchive, Store, StoreError};

/// After this time what was recorded is compared with the store again: a release that was removed there
/// comes back within a minute while the repository has it.
const RECORDED_FOR: Duration = Duration::from_mins(1);
/// Most archives of branches that are remembered of one package: of ten branches that move daily, those
/// of three months.
const MAX_ARCHIVES: u32 = 1_000;

/// The order of what a repository says.
pub(super) const fn seen_by_repository(app: AppSlug, now: Timestamp) -> Order {
    Order {
        app,
        actor: Actor::Repository,
        now,
        reason: None,
    }
}

/// Records the versions of a package that the repository has; returns how many releases were new.
/// Those of files that are recorded are not looked at again for a while, except on somebody's order.
pub(super) async fn record(
    store: &Store,
    order: &Order,
    package: &str,
    found: &Found,
) -> Result<usize, StoreError> {
    let Order {
        app, actor, now, ..
    } = order;
    let recorded: Option<Vec<Recorded>> = match actor {
        Actor::Repository => {
            let files = found.files.iter();
            files.map(|file| file.recorded(app, package)).collect()
        }
        _ => None,
    };
    let is_recent = |it: &Recorded| it.at <= *now && it.at.plus(RECORDED_FOR) > *now;
    if recorded.as_ref().is_some_and(|it| it.iter().all(is_recent)) {
        return Ok(0);
    }
    let mark = store.read().await?.release_mark(app, package).await?;
    let is_same = |it: &Recorded| it.mark.is_some() && it.mark == mark;
    let new = if recorded.is_some_and(|it| it.iter().all(is_same)) {
        0
    } else {
        note_branches(store, order, package, found).await?;
        let seen = releases_of(found, package, *now);
        releases::note(store, order, package, seen).await?
    };
    for file in &found.files {
        file.set_recorded(app, package, Recorded { at: *now, mark });
    }
    Ok(new)
}

fn releases_of(found: &Found, package: &str, now: Timestamp) -> Vec<Release> {
    let versions = found.of(package).flat_map(|package| &package.versions);
    let release = |listed: &Listed| {
        let version = listed
            .version
            .as_ref()
            .filter(|version| !version.is_dev())?;
        // Nothing was released in the future, whatever a clock said.
        let at = listed.time.map_or(now, |at| at.min(now));
        let reference = listed.dist.as_ref().map(|dist| dist.reference.as_str());
        let reference = reference.and_then(|it| release::reference(it).ok());
        let release = Release::new(Scheme::Composer, package, &version.text, at).ok()?;
        Some(release.with_reference(reference.map(str::to_owned)))
    };
    versions.filter_map(release).collect()
}

/// Remembers the archives of branches.
async fn note_branches(
    store: &Store,
    order: &Order,
    package: &str,
    found: &Found,
) -> Result<(), StoreError> {
    let seen = archives_of(found, package);
    if seen.is_empty() {
        return Ok(());
    }
    let mut tx = store.read().await?;
    let known = tx.branch_archive_list(&order.app, package).await?;
    drop(tx);
    let known: BTreeSet<BranchArchive> = known.into_iter().collect();
    // Mostly there is nothing new, and then nobody waits for a lock.
    if seen.iter().all(|archive| known.contains(archive)) {
        return Ok(());
    }
    let mut tx = store.begin_in(&order.app).await?;
    tx.branch_archive_put(&order.app, package, &seen, order.now)
        .await?;
    tx.branch_archive_trim(&order.app, package, MAX_ARCHIVES)
        .await?;
    tx.commit().await
}

/// The archives of branches that are made of something that is named, each name once.
fn archives_of(found: &Found, package: &str) -> Vec<BranchArchive> {
    let versions = found.of(package).flat_map(|package| &package.versions);
    let archive = |listed: &Listed| {
        let version = listed.version.as_ref().filter(|version| version.is_dev())?;
        let dist = listed
            .dist
            .as_ref()
            .filter(|dist| !dist.reference.is_empty())?;
        let archive = BranchArchive {
            file: dist.file.clone(),
            version: version.text.clone(),
            url: dist.url.clone(),
        };
        Some((archive.file.clone(), archive))
    };
    let by_name: BTreeMap<String, BranchArchive> = versions.filter_map(archive).collect();
    let archives = by_name.into_values();
    archives.take(MAX_ARCHIVES as usize).collect()
}
