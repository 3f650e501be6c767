//! Releases of packages, and when they came out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::order::Order;
use crate::domain::access::release::Release;
use crate::domain::access::versions::{Scheme, Version};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::domain::validate::FieldError;
use crate::store::{Store, StoreError};

/// Most releases of one package. All of them are read to see what a frozen customer keeps.
const MAX_RELEASES: usize = 10_000;

/// Why releases were not announced, or one was not removed.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The package would have more releases than it may have.
    #[error("a package has at most {MAX_RELEASES} releases")]
    TooMany,
    /// The scheme of the package cannot read what the order says.
    #[error("the order has fields that are not right")]
    Invalid {
        /// The faults, field by field.
        errors: Vec<FieldError>,
    },
    /// The scheme of the package has no such names.
    #[error("there is no such package")]
    NotFound,
    /// The package has no release of the version.
    #[error("the package has no such release")]
    Unknown,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// A release of an order.
#[derive(Clone, Debug)]
pub struct Announced {
    /// The field of the order that names the version.
    pub field: String,
    /// The version.
    pub version: String,
    /// When it came out; `None`: the order does not say.
    pub released_at: Option<Timestamp>,
    /// What its archive is made of; `None`: the order does not say.
    pub reference: Option<String>,
}

impl Announced {
    fn read(&self, scheme: Scheme, package: &str, now: Timestamp) -> Result<Release, FieldError> {
        let at = self.released_at.unwrap_or(now);
        let release = Release::new(scheme, package, &self.version, at);
        let release = release.map(|it| it.with_reference(self.reference.clone()));
        release.map_err(|error| FieldError::new(self.field.clone(), error.to_string()))
    }
}

/// Releases after an order.
#[derive(Clone, Debug)]
pub struct Added {
    /// All releases of the order as they are now.
    pub releases: Vec<Release>,
    /// A version was not known in any spelling.
    pub any_new: bool,
    /// The order changed something.
    pub changed: bool,
}

/// Lists the releases of a package.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    package: String,
) -> Result<Vec<Release>, StoreError> {
    let mut tx = store.read().await?;
    tx.release_list(app, &BTreeSet::from([package])).await
}

/// Announces releases of a package. A version that is known keeps its time and its reference if none is
/// given.
///
/// # Errors
/// When a version cannot be read, or the package would have too many releases.
pub async fn add(
    store: &Store,
    order: &Order,
    package: String,
    releases: Vec<Announced>,
) -> Result<Added, ReleaseError> {
    let mut tx = store.begin_in(&order.app).await?;
    let wanted = BTreeSet::from([package.clone()]);
    let scheme = tx.package_schemes(&order.app, &wanted).await?.of(&package);
    if scheme.package(&package).is_err() {
        return Err(ReleaseError::NotFound);
    }
    let mut errors = Vec::new();
    let mut read: Vec<(Release, bool)> = Vec::new();
    let mut dated: BTreeMap<String, (Timestamp, String)> = BTreeMap::new();
    for announced in releases {
        let is_dated = announced.released_at.is_some();
        let release = match announced.read(scheme, &package, order.now) {
            Ok(release) => release,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        if let Some(at) = announced.released_at {
            // Which of two dates counts is not for their order to say.
            let known = (at, announced.field.clone());
            let known = dated.insert(release.normalized.clone(), known);
            if let Some((_, other)) = known.filter(|(known, _)| *known != at) {
                let message = format!("is the same version as `{other}`, with another date");
                errors.push(FieldError::new(announced.field.clone(), message));
            }
        }
        read.push((release, is_dated));
    }
    if !errors.is_empty() {
        return Err(ReleaseError::Invalid { errors });
    }
    let known = tx.release_list(&order.app, &wanted).await?;
    let number = known.len();
    let comparison = compare(scheme, known, read);
    if number + comparison.number_new > MAX_RELEASES {
        return Err(ReleaseError::TooMany);
    }
    tx.release_put(&order.app, &comparison.write, order.now)
        .await?;
    let changed = !comparison.write.is_empty();
    if changed {
        let (from, to) = (dates(&comparison.before), dates(&comparison.write));
        let details = json!({"package": package, "from": from, "to": to});
        order.audit(&mut tx, None, "release_add", details).await?;
    }
    tx.commit().await?;
    Ok(Added {
        releases: comparison.after,
        any_new: comparison.number_new > 0,
        changed,
    })
}

/// Removes the release of a version in any spelling. A text that is no version in the scheme of the
/// package names the release that was written so, in whatever scheme it was recorded.
///
/// # Errors
/// When there is no such release.
pub async fn remove(
    store: &Store,
    order: &Order,
    package: String,
    version: &str,
) -> Result<(), ReleaseError> {
    let mut tx = store.begin_in(&order.app).await?;
    let wanted = BTreeSet::from([package.clone()]);
    let scheme = tx.package_schemes(&order.app, &wanted).await?.of(&package);
    let meant = scheme.version(version).ok();
    let is_meant = |known: &Release| match &meant {
        Some(version) => scheme.version(&known.version).as_ref() == Ok(version),
        None => known.version == version,
    };
    let known = tx.release_list(&order.app, &wanted).await?;
    let release = known.into_iter().find(is_meant);
    let release = release.ok_or(ReleaseError::Unknown)?;
    tx.release_delete(&order.app, &release, order.now).await?;
    let from = json!({"version": release.version, "reference": release.reference,
        "released_at": release.released_at.to_string()});
    let details = json!({"package": package, "from": from, "to": null});
    order
        .audit(&mut tx, None, "release_remove", details)
        .await?;
    Ok(tx.commit().await?)
}

/// Records releases of a package that a Composer repository has. What is known already, in whatever
/// spelling, stays as it is: an admin's word counts more; but what its archive is made of, the
/// repository knows. If there are too many, the newest are recorded. Returns how many were new.
///
/// # Errors
/// When the store failed.
pub async fn note(
    store: &Store,
    order: &Order,
    package: &str,
    seen: Vec<Release>,
) -> Result<usize, StoreError> {
    let wanted = BTreeSet::from([package.to_owned()]);
    let known = store
        .read()
        .await?
        .release_list(&order.app, &wanted)
        .await?;
    // Mostly there is nothing new, and then nobody waits for a lock.
    if unknown(&known, &seen).is_empty() && rebuilt(&known, &seen).is_empty() {
        return Ok(0);
    }
    let mut tx = store.begin_in(&order.app).await?;
    let schemes = tx.package_schemes(&order.app, &wanted).await?;
    if schemes.of(package) != Scheme::Composer {
        return Ok(0);
    }
    let known = tx.release_list(&order.app, &wanted).await?;
    let mut new = unknown(&known, &seen);
    let room = MAX_RELEASES.saturating_sub(known.len());
    if new.len() > room {
        tracing::warn!(
            app = %order.app,
            package,
            left_out = new.len() - room,
            "a package has more releases than are kept; the oldest are left out"
        );
        new.sort_by_key(|release| Reverse(release.released_at));
        new.truncate(room);
    }
    tx.release_put(&order.app, &rebuilt(&known, &seen), order.now)
        .await?;
    tx.release_note(&order.app, &new, order.now).await?;
    if !new.is_empty() {
        let details = json!({"package": package, "from": {}, "to": dates(&new)});
        order.audit(&mut tx, None, "release_add", details).await?;
    }
    tx.commit().await?;
    Ok(new.len())
}

/// The releases of versions that are not known in any spelling.
fn unknown(known: &[Release], seen: &[Release]) -> Vec<Release> {
    let version = |release: &Release| Scheme::Composer.version(&release.version).ok();
    let mut known: BTreeSet<Version> = known.iter().filter_map(version).collect();
    let mut new = seen.to_vec();
    new.retain(|release| version(release).is_some_and(|it| known.insert(it)));
    new
}

/// The known releases whose archives are made of something else than was known, as they are now.
fn rebuilt(known: &[Release], seen: &[Release]) -> Vec<Release> {
    let version = |release: &Release| Scheme::Composer.version(&release.version).ok();
    let seen = seen.iter().filter(|it| it.reference.is_some());
    let mut references: BTreeMap<Version, &Release> = BTreeMap::new();
    for release in seen {
        if let Some(version) = version(release) {
            references.entry(version).or_insert(release);
        }
    }
    let rebuilt = known.iter().filter_map(|release| {
        let reference = &references.get(&version(release)?)?.reference;
        let is_new = release.reference != *reference;
        is_new.then(|| release.clone().with_reference(reference.clone()))
    });
    rebuilt.collect()
}

/// The times of releases by version, for the audit.
fn dates(releases: &[Release]) -> BTreeMap<&str, String> {
    let date = |it: &Release| it.released_at.exact();
    releases
        .iter()
        .map(|it| (it.version.as_str(), date(it)))
        .collect()
}

/// An order beside what is known.
struct Comparison {
    /// The known releases of the versions that must be written.
    before: Vec<Release>,
    /// The releases to write.
    write: Vec<Release>,
    /// All versions of the order as they are afterwards.
    after: Vec<Release>,
    /// The number of versions that were not known in any spelling.
    number_new: usize,
}

/// Versions are the same by value, whatever their spelling: one that is known keeps its key, and,
/// if the order says no time, its time, or a repetition would take the version from everybody who
/// was frozen in between.
fn compare(scheme: Scheme, known: Vec<Release>, wanted: Vec<(Release, bool)>) -> Comparison {
    let mut by_version: BTreeMap<Version, Release> = BTreeMap::new();
    for release in known {
        if let Ok(version) = scheme.version(&release.version) {
            by_version.insert(version, release);
        }
    }
    let mut comparison = Comparison {
        before: Vec::new(),
        write: Vec::new(),
        after: Vec::new(),
        number_new: 0,
    };
    for (mut release, is_timed) in wanted {
        let Ok(version) = scheme.version(&release.version) else {
            continue;
        };
        match by_version.get(&version) {
            Some(known) => {
                release.normalized.clone_from(&known.normalized);
                if !is_timed {
                    release.released_at = known.released_at;
                }
                release.reference = release.reference.or_else(|| known.reference.clone());
            }
            None => comparison.number_new += 1,
        }
        comparison.after.push(release.clone());
        let before = by_version.insert(version, release.clone());
        if before.as_ref() != Some(&release) {
            comparison.before.extend(before);
            comparison.write.push(release);
        }
    }
    comparison
}
