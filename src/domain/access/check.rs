//! The access check: may this token have this version of this package? Registries ask this.
//!
//! The check goes from the outside in (the token, its scope, the customer, the package, the
//! version), so that the code names the first obstacle.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::access::constraint::{Constraint, Version};
use crate::domain::access::plan::PackageGrant;
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
    /// The customer's grants: those given by hand, and those of the plans that it pays for. For a
    /// frozen customer, of the plans that it paid for.
    pub grants: &'a [PackageGrant],
    /// The known releases, at least of the packages in question; only used for customers that are
    /// frozen without a list of versions.
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
    grants: &[PackageGrant],
    package: &str,
    version: Option<&str>,
) -> Result<(), AccessCode> {
    let mut listed = versions
        .iter()
        .filter(|listed| listed.package == package)
        .peekable();
    if listed.peek().is_none() {
        let granted = grants.iter().any(|grant| grant.package == package);
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
    let mut of_package = holder
        .grants
        .iter()
        .filter(|grant| grant.package == package)
        .peekable();
    if of_package.peek().is_none() {
        return Err(AccessCode::PackageNotGranted);
    }
    let constraints: Vec<Constraint> = of_package
        .filter_map(|grant| Constraint::parse(&grant.constraint).ok())
        .collect();
    let Some(version) = version else {
        let any = match holder.derived.status {
            Status::Frozen { at } => holder
                .releases
                .iter()
                .any(|it| reachable(it, package, at, &constraints)),
            Status::Active | Status::Suspended | Status::Expired => !constraints.is_empty(),
        };
        return match (any, is_frozen(holder.derived)) {
            (true, _) => Ok(()),
            (false, true) => Err(AccessCode::VersionNotFrozen),
            (false, false) => Err(AccessCode::VersionNotAllowed),
        };
    };
    let wanted = Version::parse(version).map_err(|_| AccessCode::VersionNotAllowed)?;
    if !constraints
        .iter()
        .any(|constraint| constraint.allows(&wanted))
    {
        return Err(AccessCode::VersionNotAllowed);
    }
    let Status::Frozen { at } = holder.derived.status else {
        return Ok(());
    };
    let is_wanted = |release: &Release| {
        release.package == package
            && release.released_at <= at
            && Version::parse(&release.version).is_ok_and(|version| version == wanted)
    };
    if holder.releases.iter().any(is_wanted) {
        Ok(())
    } else {
        Err(AccessCode::VersionNotFrozen)
    }
}

/// Reports whether a customer that is frozen at an instant can reach this release.
fn reachable(release: &Release, package: &str, at: Timestamp, constraints: &[Constraint]) -> bool {
    release.package == package
        && release.released_at <= at
        && Version::parse(&release.version)
            .is_ok_and(|version| constraints.iter().any(|it| it.allows(&version)))
}

/// The versions of a package that a customer may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every version that one of these Composer constraints allows.
    Constraints(BTreeSet<String>),
    /// Exactly these versions, as they were written.
    Versions(Vec<String>),
}

/// Returns everything that the holder may have, by package, so that registries can filter their
/// metadata. Empty if [`check_holder`] denies access.
pub fn everything(holder: Holder<'_>, now: Timestamp) -> BTreeMap<String, Extent> {
    if check_holder(holder, now).is_err() {
        return BTreeMap::new();
    }
    let mut packages = if is_frozen(holder.derived) {
        let mut packages: BTreeMap<String, Extent> = BTreeMap::new();
        for PackageVersion { package, version } in frozen_versions(holder).unwrap_or_default() {
            let versions = packages
                .entry(package)
                .or_insert(Extent::Versions(Vec::new()));
            if let Extent::Versions(versions) = versions {
                versions.push(version);
            }
        }
        packages
    } else {
        let mut constraints: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let readable = |grant: &&PackageGrant| Constraint::parse(&grant.constraint).is_ok();
        for PackageGrant {
            package,
            constraint,
        } in holder.grants.iter().filter(readable)
        {
            constraints
                .entry(package.clone())
                .or_default()
                .insert(constraint.clone());
        }
        constraints
            .into_iter()
            .map(|(name, all)| (name, Extent::Constraints(all)))
            .collect()
    };
    packages.retain(|package, _| holder.token.is_none_or(|token| token.opens(package)));
    packages
}

/// Returns the versions that a frozen customer can reach now: those that it was frozen to, or else
/// what was released until then and is granted. `None` for customers that are not frozen.
pub fn frozen_versions(holder: Holder<'_>) -> Option<Vec<PackageVersion>> {
    let Status::Frozen { at } = holder.derived.status else {
        return None;
    };
    if let Some(versions) = &holder.derived.frozen_versions {
        return Some(versions.clone());
    }
    let mut constraints: BTreeMap<&str, Vec<Constraint>> = BTreeMap::new();
    for grant in holder.grants {
        if let Ok(constraint) = Constraint::parse(&grant.constraint) {
            constraints
                .entry(&grant.package)
                .or_default()
                .push(constraint);
        }
    }
    let is_reachable = |release: &&Release| {
        let package = release.package.as_str();
        constraints
            .get(package)
            .is_some_and(|granted| reachable(release, package, at, granted))
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
    versions.sort_by(|one, other| {
        let parsed = |it: &PackageVersion| Version::parse(&it.version).ok();
        one.package
            .cmp(&other.package)
            .then_with(|| parsed(one).cmp(&parsed(other)))
    });
    Some(versions)
}

/// Returns the grants whose constraint cannot be parsed. They allow nothing, which somebody should
/// know.
pub fn unreadable(grants: &[PackageGrant]) -> impl Iterator<Item = &PackageGrant> {
    grants
        .iter()
        .filter(|grant| Constraint::parse(&grant.constraint).is_err())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
