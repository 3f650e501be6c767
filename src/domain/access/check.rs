//! The access check: may this token have this version of this package? Registries ask this.
//!
//! The check goes from the outside in (the token, its scope, the customer, the package, the
//! version), so that the code names the first obstacle.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::access::constraint::{Constraint, Version};
use crate::domain::access::live_grant::LiveGrant;
use crate::domain::access::release::Release;
use crate::domain::access::token::CustomerToken;
use crate::domain::customer::row::{Derived, PackageVersion, Status};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// The stable code of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessCode {
    /// Access is allowed.
    Ok,
    /// The token is missing or unknown, or its customer was deleted.
    TokenUnknown,
    /// The token has expired.
    TokenExpired,
    /// The token is not for this package.
    TokenScope,
    /// Nothing grants the customer this package.
    PackageNotGranted,
    /// The package is granted in other versions.
    VersionNotAllowed,
    /// The customer is suspended.
    CustomerSuspended,
    /// The customer is expired.
    CustomerExpired,
    /// The customer is frozen, and this version is not among those that it keeps.
    VersionNotFrozen,
}

words!(AccessCode, all {
    Ok = "ok",
    TokenUnknown = "token_unknown",
    TokenExpired = "token_expired",
    TokenScope = "token_scope",
    PackageNotGranted = "package_not_granted",
    VersionNotAllowed = "version_not_allowed",
    CustomerSuspended = "customer_suspended",
    CustomerExpired = "customer_expired",
    VersionNotFrozen = "version_not_frozen",
});

impl AccessCode {
    /// True if access is allowed.
    pub fn is_allowed(self) -> bool {
        self == Self::Ok
    }
}

/// Everything that an answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The token that was shown; `None` when an admin asks about the customer.
    pub token: Option<&'a CustomerToken>,
    /// The derived state of the customer.
    pub derived: &'a Derived,
    /// Everything that gives the customer packages now.
    pub grants: &'a [LiveGrant],
    /// The known releases, at least of the packages in question; only used for grants that reach
    /// to a date.
    pub releases: &'a [Release],
}

/// Checks everything that does not depend on a package.
///
/// # Errors
/// When access is denied, with the code of the reason.
pub fn check_holder(holder: Holder<'_>, now: Timestamp) -> Result<(), AccessCode> {
    if holder.token.is_some_and(|token| token.is_expired(now)) {
        return Err(AccessCode::TokenExpired);
    }
    match holder.derived.status {
        Status::Active | Status::Frozen { .. } => Ok(()),
        Status::Suspended => Err(AccessCode::CustomerSuspended),
        Status::Expired => Err(AccessCode::CustomerExpired),
    }
}

/// Decides whether the holder may have a version of a package, or, without a version, any version.
///
/// A text that is not a version is refused. A grant whose constraint cannot be parsed allows
/// nothing.
pub fn decide(
    holder: Holder<'_>,
    package: &str,
    version: Option<&str>,
    now: Timestamp,
) -> AccessCode {
    if holder.token.is_some_and(|token| token.is_expired(now)) {
        return AccessCode::TokenExpired;
    }
    if holder.token.is_some_and(|token| !token.opens(package)) {
        return AccessCode::TokenScope;
    }
    if let Err(code) = check_holder(holder, now) {
        return code;
    }
    let found = match &holder.derived.frozen_versions {
        Some(versions) if is_frozen(holder.derived) => {
            among(versions, holder.grants, package, version)
        }
        Some(_) | None => granted(holder, package, version),
    };
    found.err().unwrap_or(AccessCode::Ok)
}

const fn is_frozen(derived: &Derived) -> bool {
    matches!(derived.status, Status::Frozen { .. })
}

/// Decides for a customer that is frozen to exact versions: it has those and nothing else.
fn among(
    versions: &[PackageVersion],
    grants: &[LiveGrant],
    package: &str,
    version: Option<&str>,
) -> Result<(), AccessCode> {
    let mut listed = versions
        .iter()
        .filter(|listed| listed.package == package)
        .peekable();
    if listed.peek().is_none() {
        let granted = grants.iter().any(|it| it.grant.package == package);
        return Err(if granted {
            AccessCode::VersionNotFrozen
        } else {
            AccessCode::PackageNotGranted
        });
    }
    let Some(version) = version else {
        return Ok(());
    };
    let wanted = Version::parse(version).map_err(|_| AccessCode::VersionNotFrozen)?;
    let is_wanted = |listed: &PackageVersion| {
        Version::parse(&listed.version).is_ok_and(|version| version == wanted)
    };
    if listed.any(is_wanted) {
        Ok(())
    } else {
        Err(AccessCode::VersionNotFrozen)
    }
}

fn granted(holder: Holder<'_>, package: &str, version: Option<&str>) -> Result<(), AccessCode> {
    let of_package = holder
        .grants
        .iter()
        .filter(|it| it.grant.package == package);
    let of_package: Vec<&LiveGrant> = of_package.collect();
    if of_package.is_empty() {
        return Err(AccessCode::PackageNotGranted);
    }
    let allowing = of_package.iter().filter_map(|it| {
        let constraint = Constraint::parse(&it.grant.constraint).ok()?;
        Some((constraint, it.until))
    });
    let allowing: Vec<(Constraint, Option<Timestamp>)> = allowing.collect();
    let wanted = match version {
        None => None,
        Some(version) => {
            let parsed = Version::parse(version);
            Some(parsed.map_err(|_| AccessCode::VersionNotAllowed)?)
        }
    };
    let in_range = |constraint: &Constraint| {
        let wanted = wanted.as_ref();
        wanted.is_none_or(|wanted| constraint.allows(wanted))
    };
    let reaches = |until: Option<Timestamp>, constraint: &Constraint| match (until, &wanted) {
        (None, _) => true,
        (Some(until), None) => {
            let mut releases = holder.releases.iter();
            releases.any(|it| reachable(it, package, until, constraint))
        }
        (Some(until), Some(wanted)) => holder.releases.iter().any(|it| {
            it.package == package
                && it.released_at <= until
                && Version::parse(&it.version).is_ok_and(|version| version == *wanted)
        }),
    };
    let mut in_range = allowing.iter().filter(|(it, _)| in_range(it)).peekable();
    if in_range.peek().is_none() {
        return Err(AccessCode::VersionNotAllowed);
    }
    if in_range.any(|(constraint, until)| reaches(*until, constraint)) {
        Ok(())
    } else {
        Err(AccessCode::VersionNotFrozen)
    }
}

/// Reports whether a grant that reaches to an instant covers this release.
fn reachable(release: &Release, package: &str, until: Timestamp, constraint: &Constraint) -> bool {
    release.package == package
        && release.released_at <= until
        && Version::parse(&release.version).is_ok_and(|version| constraint.allows(&version))
}

/// The versions of a package that a customer may have: every one that one of these Composer
/// constraints allows, and these ones, as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Composer constraints.
    pub constraints: BTreeSet<String>,
    /// Versions that no constraint may stand for, because more would match it later.
    pub versions: Vec<String>,
}

/// Returns everything that the holder may have, by package, so that registries can filter their
/// metadata. Empty if [`check_holder`] denies access.
pub fn everything(holder: Holder<'_>, now: Timestamp) -> BTreeMap<String, Extent> {
    if check_holder(holder, now).is_err() {
        return BTreeMap::new();
    }
    let mut packages: BTreeMap<String, Extent> = BTreeMap::new();
    for PackageVersion { package, version } in dated_versions(holder) {
        packages.entry(package).or_default().versions.push(version);
    }
    if exact_versions(holder).is_none() {
        let undated = holder.grants.iter().filter(|it| it.until.is_none());
        let readable = undated.filter(|it| Constraint::parse(&it.grant.constraint).is_ok());
        for it in readable {
            let extent = packages.entry(it.grant.package.clone()).or_default();
            extent.constraints.insert(it.grant.constraint.clone());
        }
    }
    packages.retain(|package, _| holder.token.is_none_or(|token| token.opens(package)));
    packages
}

/// The versions to which an admin froze the customer.
fn exact_versions(holder: Holder<'_>) -> Option<&Vec<PackageVersion>> {
    let versions = holder.derived.frozen_versions.as_ref();
    versions.filter(|_| is_frozen(holder.derived))
}

/// Returns the versions that a frozen customer can reach now: those that it was frozen to, or else
/// what was released until then and is granted. `None` for customers that are not frozen.
pub fn frozen_versions(holder: Holder<'_>) -> Option<Vec<PackageVersion>> {
    is_frozen(holder.derived).then(|| dated_versions(holder))
}

/// Returns the versions that grants with a date reach, or those that the customer was frozen to.
fn dated_versions(holder: Holder<'_>) -> Vec<PackageVersion> {
    if let Some(versions) = exact_versions(holder) {
        return versions.clone();
    }
    let mut constraints: BTreeMap<&str, Vec<(Timestamp, Constraint)>> = BTreeMap::new();
    for it in holder.grants {
        if let (Some(until), Ok(constraint)) = (it.until, Constraint::parse(&it.grant.constraint)) {
            let of_package = constraints.entry(&it.grant.package).or_default();
            of_package.push((until, constraint));
        }
    }
    let is_reachable = |release: &&Release| {
        let package = release.package.as_str();
        let granted = constraints.get(package).into_iter().flatten();
        granted
            .into_iter()
            .any(|(until, constraint)| reachable(release, package, *until, constraint))
    };
    let version = |release: &Release| PackageVersion {
        package: release.package.clone(),
        version: release.version.clone(),
    };
    let mut versions: Vec<PackageVersion> = holder
        .releases
        .iter()
        .filter(is_reachable)
        .map(version)
        .collect();
    versions.sort_by_cached_key(|it| (it.package.clone(), Version::parse(&it.version).ok()));
    versions
}

/// Returns the grants whose constraint cannot be parsed. They allow nothing, which somebody should
/// know.
pub fn unreadable(grants: &[LiveGrant]) -> impl Iterator<Item = &LiveGrant> {
    grants
        .iter()
        .filter(|it| Constraint::parse(&it.grant.constraint).is_err())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
