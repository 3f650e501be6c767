//! The access check: may this token have this version of this package? Registries ask this.
//!
//! The check goes from the outside in (the token, its scope, the customer, the package, the
//! version), so that the code names the first obstacle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

pub use crate::domain::access::extent::Extent;
use crate::domain::access::live_grant::LiveGrant;
use crate::domain::access::plan::PackageGrant;
use crate::domain::access::release::Release;
use crate::domain::access::released::Released;
use crate::domain::access::token::CustomerToken;
use crate::domain::access::versions::{Constraint, Scheme, Schemes, Version};
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
    /// How versions are read, at least of the packages in question.
    pub schemes: &'a Schemes,
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

/// What a holder may have of one package, prepared so that many versions can be asked about:
/// constraints and known versions are parsed once. A constraint that cannot be parsed allows nothing.
#[derive(Clone, Debug)]
pub struct PackageAccess {
    scheme: Scheme,
    basis: Basis,
}

#[derive(Clone, Debug)]
enum Basis {
    /// Every version is refused with this code.
    Refused(AccessCode),
    /// The customer is frozen to these versions.
    Exactly(BTreeSet<Version>),
    /// Whatever one of these grants allows and reaches.
    Granted {
        allowing: Vec<(Constraint, Option<Timestamp>)>,
        /// Empty unless a grant reaches to a date.
        released: Arc<Released>,
    },
}

impl PackageAccess {
    /// Prepares what the holder may have of a package.
    pub fn new(holder: Holder<'_>, package: &str, now: Timestamp) -> Self {
        let scheme = holder.schemes.of(package);
        let released = Arc::new(Released::of(scheme, package, holder.releases));
        Self::with_released(holder, package, released, now)
    }

    /// The same where the releases of the package are read already; those of the holder do not count.
    pub fn with_released(
        holder: Holder<'_>,
        package: &str,
        released: Arc<Released>,
        now: Timestamp,
    ) -> Self {
        Self {
            scheme: holder.schemes.of(package),
            basis: obstacle(holder, package, now)
                .map_or_else(|| basis_of(holder, package, released), Basis::Refused),
        }
    }

    /// Decides whether the version of this text may be had, or, without one, any version. A text that is
    /// no version is refused.
    pub fn asked(&self, version: Option<&str>) -> AccessCode {
        match version {
            None => self.any_version(),
            Some(text) => self.version(self.scheme.version(text).ok().as_ref()),
        }
    }

    fn any_version(&self) -> AccessCode {
        match &self.basis {
            Basis::Refused(code) => *code,
            Basis::Exactly(_) => AccessCode::Ok,
            Basis::Granted { allowing, .. } if allowing.is_empty() => AccessCode::VersionNotAllowed,
            Basis::Granted { allowing, released } => {
                let reaches = |(constraint, until): &(Constraint, Option<Timestamp>)| {
                    until.is_none_or(|until| {
                        let mut released = released.iter();
                        released.any(|(version, at)| at <= until && constraint.allows(version))
                    })
                };
                allowed_or(allowing.iter().any(reaches), AccessCode::VersionNotFrozen)
            }
        }
    }

    /// Decides whether a version may be had; `None` stands for a text that is no version.
    pub fn version(&self, version: Option<&Version>) -> AccessCode {
        match &self.basis {
            Basis::Refused(code) => *code,
            Basis::Exactly(versions) => allowed_or(
                version.is_some_and(|version| versions.contains(version)),
                AccessCode::VersionNotFrozen,
            ),
            Basis::Granted { allowing, released } => {
                let Some(version) = version else {
                    return AccessCode::VersionNotAllowed;
                };
                let in_range = allowing.iter().filter(|(it, _)| it.allows(version));
                let mut in_range = in_range.peekable();
                if in_range.peek().is_none() {
                    return AccessCode::VersionNotAllowed;
                }
                let reaches = |(_, until): &(Constraint, Option<Timestamp>)| {
                    until.is_none_or(|until| released.at(version).is_some_and(|at| at <= until))
                };
                allowed_or(in_range.any(reaches), AccessCode::VersionNotFrozen)
            }
        }
    }
}

const fn allowed_or(allowed: bool, otherwise: AccessCode) -> AccessCode {
    if allowed { AccessCode::Ok } else { otherwise }
}

/// Returns why the holder may have no version of a package at all, whatever is granted.
fn obstacle(holder: Holder<'_>, package: &str, now: Timestamp) -> Option<AccessCode> {
    if holder.token.is_some_and(|token| token.is_expired(now)) {
        return Some(AccessCode::TokenExpired);
    }
    if holder.token.is_some_and(|token| !token.opens(package)) {
        return Some(AccessCode::TokenScope);
    }
    check_holder(holder, now).err()
}

/// Returns why the holder may have nothing of a package, as far as no constraint and no version need
/// be read for it.
pub fn closed(holder: Holder<'_>, package: &str, now: Timestamp) -> Option<AccessCode> {
    let is_granted = || {
        let exact = exact_versions(holder).into_iter().flatten();
        let mut named = holder.grants.iter().map(|it| &it.grant.package);
        named.any(|it| it == package) || exact.map(|it| &it.package).any(|it| it == package)
    };
    obstacle(holder, package, now)
        .or_else(|| (!is_granted()).then_some(AccessCode::PackageNotGranted))
}

/// Returns about how many comparisons of versions it takes to decide what grants allow of so many
/// versions, each of one of their packages. The text of a constraint counts: it has an alternative in
/// every few bytes, and each is read once and compared with every version of the package.
pub fn comparisons<'a>(
    grants: impl IntoIterator<Item = &'a PackageGrant>,
    versions: usize,
) -> usize {
    let mut read = 0;
    let mut of_packages: BTreeMap<&str, usize> = BTreeMap::new();
    for grant in grants {
        let length = grant.constraint.len();
        // It takes as long to read as some versions.
        read += 4 + length / 4;
        *of_packages.entry(&grant.package).or_default() += 1 + length / 16;
    }
    let most = of_packages.into_values().max().unwrap_or(1);
    read + most.saturating_mul(versions)
}

fn basis_of(holder: Holder<'_>, package: &str, released: Arc<Released>) -> Basis {
    let scheme = holder.schemes.of(package);
    let of_package = || {
        holder
            .grants
            .iter()
            .filter(|it| it.grant.package == package)
    };
    if let Some(versions) = exact_versions(holder) {
        let listed = versions.iter().filter(|listed| listed.package == package);
        let mut listed = listed.peekable();
        return if listed.peek().is_some() {
            let parsed = |listed: &PackageVersion| scheme.version(&listed.version).ok();
            Basis::Exactly(listed.filter_map(parsed).collect())
        } else if of_package().next().is_some() {
            Basis::Refused(AccessCode::VersionNotFrozen)
        } else {
            Basis::Refused(AccessCode::PackageNotGranted)
        };
    }
    if of_package().next().is_none() {
        return Basis::Refused(AccessCode::PackageNotGranted);
    }
    let allowing = of_package().filter_map(|it| {
        let constraint = scheme.constraint(&it.grant.constraint).ok()?;
        Some((constraint, it.until))
    });
    Basis::Granted {
        allowing: allowing.collect(),
        released,
    }
}

/// Returns the packages of which the holder has some version, or had if it were let in: those that
/// are granted or that it is frozen to, as far as its token opens them.
pub fn packages(holder: Holder<'_>) -> BTreeSet<&str> {
    let granted = holder.grants.iter().map(|it| it.grant.package.as_str());
    let exact = exact_versions(holder).into_iter().flatten();
    granted
        .chain(exact.map(|it| it.package.as_str()))
        .filter(|package| holder.token.is_none_or(|token| token.opens(package)))
        .collect()
}

const fn is_frozen(derived: &Derived) -> bool {
    matches!(derived.status, Status::Frozen { .. })
}

/// Reports whether a grant that reaches to an instant covers this release. None covers a branch, which has
/// moved on since.
fn reachable(release: &Release, scheme: Scheme, until: Timestamp, constraint: &Constraint) -> bool {
    release.released_at <= until
        && scheme
            .version(&release.version)
            .is_ok_and(|version| !version.is_dev() && constraint.allows(&version))
}

/// Returns everything that the holder may have, by package, so that registries can filter their
/// metadata. Empty if [`check_holder`] denies access.
pub fn everything(holder: Holder<'_>, now: Timestamp) -> BTreeMap<String, Extent> {
    if check_holder(holder, now).is_err() {
        return BTreeMap::new();
    }
    let mut packages: BTreeMap<String, Extent> = BTreeMap::new();
    for PackageVersion { package, version } in dated_versions(holder) {
        let extent = extent_of(&mut packages, holder, package);
        extent.versions.push(version);
    }
    if exact_versions(holder).is_none() {
        let undated = holder.grants.iter().filter(|it| it.until.is_none());
        for it in undated.filter(|it| is_readable(it, holder.schemes)) {
            let extent = extent_of(&mut packages, holder, it.grant.package.clone());
            extent.constraints.insert(it.grant.constraint.clone());
        }
    }
    packages.retain(|package, _| holder.token.is_none_or(|token| token.opens(package)));
    packages
}

fn extent_of<'a>(
    packages: &'a mut BTreeMap<String, Extent>,
    holder: Holder<'_>,
    package: String,
) -> &'a mut Extent {
    let scheme = holder.schemes.of(&package);
    packages.entry(package).or_insert_with(|| Extent {
        scheme,
        ..Extent::default()
    })
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
        let scheme = holder.schemes.of(&it.grant.package);
        if let (Some(until), Ok(constraint)) = (it.until, scheme.constraint(&it.grant.constraint)) {
            let of_package = constraints.entry(&it.grant.package).or_default();
            of_package.push((until, constraint));
        }
    }
    let is_reachable = |release: &&Release| {
        let package = release.package.as_str();
        let scheme = holder.schemes.of(package);
        let granted = constraints.get(package).into_iter().flatten();
        granted
            .into_iter()
            .any(|(until, constraint)| reachable(release, scheme, *until, constraint))
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
    versions.sort_by_cached_key(|it| {
        let scheme = holder.schemes.of(&it.package);
        (it.package.clone(), scheme.version(&it.version).ok())
    });
    versions
}

/// Returns the grants whose constraint cannot be parsed. They allow nothing, which somebody should
/// know.
pub fn unreadable(holder: Holder<'_>) -> impl Iterator<Item = &LiveGrant> {
    let grants = holder.grants.iter();
    grants.filter(move |it| !is_readable(it, holder.schemes))
}

fn is_readable(live: &LiveGrant, schemes: &Schemes) -> bool {
    let scheme = schemes.of(&live.grant.package);
    scheme.constraint(&live.grant.constraint).is_ok()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
