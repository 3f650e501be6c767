//! Who may have which version of which package: the answer that registries ask for.
//!
//! Judged from the outside in, so that the code names the first thing that stands in the way:
//! the token, what the token is for, the customer, the package, the version.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::domain::access::constraint::{Constraint, Version};
use crate::domain::access::plan::PackageGrant;
use crate::domain::access::release::Release;
use crate::domain::access::token::CustomerToken;
use crate::domain::customer::row::{Derived, PackageVersion, Status};
use crate::domain::time::Timestamp;
use crate::domain::words::words;

/// The answer's stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessCode {
    /// Yes.
    Ok,
    /// No token, none that is known, or one whose customer was deleted.
    TokenUnknown,
    /// The token has run out.
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
    /// The customer is frozen, and this version is not among what that leaves.
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
    /// Whether it means yes.
    pub fn is_allowed(self) -> bool {
        self == Self::Ok
    }
}

/// All that an answer rests on.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The token that was shown; `None` when an admin asks about the customer.
    pub token: Option<&'a CustomerToken>,
    /// What is shown of the customer.
    pub derived: &'a Derived,
    /// Everything that grants it packages: by hand, and by the plans of what it pays for. For a
    /// frozen customer those of what it paid for.
    pub grants: &'a [PackageGrant],
    /// The known releases, at least of the packages that are asked for; read only for customers
    /// that are frozen without a list of versions.
    pub releases: &'a [Release],
}

/// What stands in the way before any package is looked at.
///
/// # Errors
/// The code that says what it is.
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

/// Whether the holder may have a version of a package, or, without a version, any of it.
///
/// A text that is no version is refused, and so is everything that a grant whose constraint
/// cannot be read would have allowed.
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

const fn is_frozen(shown: &Derived) -> bool {
    matches!(shown.status, Status::Frozen { .. })
}

/// Frozen to exact versions: those, and nothing but those.
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

/// Whether a customer frozen at an instant has this release of this package.
fn reachable(release: &Release, package: &str, at: Timestamp, constraints: &[Constraint]) -> bool {
    release.package == package
        && release.released_at <= at
        && Version::parse(&release.version)
            .is_ok_and(|version| constraints.iter().any(|it| it.allows(&version)))
}

/// What may be had of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every version that one of these Composer constraints lets through.
    Constraints(BTreeSet<String>),
    /// These versions, as they were written.
    Versions(Vec<String>),
}

/// Everything that the holder may have, by package: what registries filter their metadata with.
/// Nothing, if [`check_holder`] says no.
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

/// The versions that a frozen customer can reach now: those that it was frozen to, or else what
/// was released until then and is granted. `None` for customers that are not frozen.
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

/// Grants whose constraint cannot be read. They allow nothing; somebody should know.
pub fn unreadable(grants: &[PackageGrant]) -> impl Iterator<Item = &PackageGrant> {
    grants
        .iter()
        .filter(|grant| Constraint::parse(&grant.constraint).is_err())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
