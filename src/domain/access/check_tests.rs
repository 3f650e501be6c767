//! The access check, as tables of cases.

use super::*;
use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::access::plan::PackageGrant;
use crate::domain::id::{CustomerId, TokenId};

fn at(second: i64) -> Timestamp {
    Timestamp::from_nanos(second * 1_000_000_000)
}

fn grant(package: &str, constraint: &str) -> PackageGrant {
    PackageGrant {
        package: package.to_owned(),
        constraint: constraint.to_owned(),
    }
}

/// The grants as a customer in this state has them.
fn live(grants: &[PackageGrant], derived: &Derived) -> Vec<LiveGrant> {
    let live = |grant: &PackageGrant| {
        let grant = HandGrant {
            grant: grant.clone(),
            billing: GrantBilling::Follow,
            expires_at: None,
        };
        LiveGrant::of_hand(&grant, at(0), derived, at(100)).unwrap()
    };
    grants.iter().map(live).collect()
}

fn token(packages: &[&str], expires_at: Option<Timestamp>) -> CustomerToken {
    CustomerToken {
        previous_until: None,
        id: TokenId::from_uuid(uuid::Uuid::nil()),
        customer: CustomerId::from_uuid(uuid::Uuid::nil()),
        name: "ci".to_owned(),
        scope: "read".to_owned(),
        packages: packages.iter().map(|&package| package.to_owned()).collect(),
        prefix: String::new(),
        created_at: at(0),
        expires_at,
        last_used_at: None,
    }
}

fn derived(status: Status, versions: Option<&[(&str, &str)]>) -> Derived {
    let version = |&(package, version): &(&str, &str)| PackageVersion {
        package: package.to_owned(),
        version: version.to_owned(),
    };
    Derived {
        status,
        frozen_versions: versions.map(|all| all.iter().map(version).collect()),
        ..Derived::default()
    }
}

fn releases() -> Vec<Release> {
    [
        ("a/lib", "1.0.0", 10),
        ("a/lib", "2.0.0", 20),
        ("a/lib", "2.1.0", 30),
        ("a/lib", "3.0.0", 20),
    ]
    .into_iter()
    .map(|(package, version, second)| {
        Release::new(Scheme::Composer, package, version, at(second)).unwrap()
    })
    .collect()
}

fn decided(holder: Holder<'_>, package: &str, version: Option<&str>, now: Timestamp) -> AccessCode {
    PackageAccess::new(holder, package, now).asked(version)
}

#[test]
fn the_code_names_the_first_obstacle() {
    let fine = token(&[], None);
    let narrow = token(&["b/*"], None);
    let ended = token(&["b/*"], Some(at(50)));
    let grants = [grant("a/lib", "^2.0"), grant("a/broken", "^^2")];
    let releases = releases();
    let frozen = Status::Frozen { at: at(20) };
    let exact: &[(&str, &str)] = &[("a/lib", "2.0.0"), ("a/other", "v1.0")];
    let cases = [
        (
            "in range",
            &fine,
            derived(Status::Active, None),
            "a/lib",
            "2.1.0",
            AccessCode::Ok,
        ),
        (
            "no version asked",
            &fine,
            derived(Status::Active, None),
            "a/lib",
            "",
            AccessCode::Ok,
        ),
        (
            "run-out token",
            &ended,
            derived(Status::Suspended, None),
            "a/lib",
            "2.1.0",
            AccessCode::TokenExpired,
        ),
        (
            "narrow token",
            &narrow,
            derived(Status::Suspended, None),
            "a/lib",
            "2.1.0",
            AccessCode::TokenScope,
        ),
        (
            "suspended",
            &fine,
            derived(Status::Suspended, None),
            "a/lib",
            "2.1.0",
            AccessCode::CustomerSuspended,
        ),
        (
            "expired",
            &fine,
            derived(Status::Expired, None),
            "a/lib",
            "2.1.0",
            AccessCode::CustomerExpired,
        ),
        (
            "other package",
            &fine,
            derived(Status::Active, None),
            "a/none",
            "2.1.0",
            AccessCode::PackageNotGranted,
        ),
        (
            "out of range",
            &fine,
            derived(Status::Active, None),
            "a/lib",
            "3.0.0",
            AccessCode::VersionNotAllowed,
        ),
        (
            "no version at all",
            &fine,
            derived(Status::Active, None),
            "a/lib",
            "latest!",
            AccessCode::VersionNotAllowed,
        ),
        (
            "broken grant",
            &fine,
            derived(Status::Active, None),
            "a/broken",
            "2.0.0",
            AccessCode::VersionNotAllowed,
        ),
        (
            "broken grant, any",
            &fine,
            derived(Status::Active, None),
            "a/broken",
            "",
            AccessCode::VersionNotAllowed,
        ),
        (
            "frozen, released",
            &fine,
            derived(frozen, None),
            "a/lib",
            "v2.0",
            AccessCode::Ok,
        ),
        (
            "frozen, released later",
            &fine,
            derived(frozen, None),
            "a/lib",
            "2.1.0",
            AccessCode::VersionNotFrozen,
        ),
        (
            "frozen, never released",
            &fine,
            derived(frozen, None),
            "a/lib",
            "2.0.1",
            AccessCode::VersionNotFrozen,
        ),
        (
            "frozen, not granted",
            &fine,
            derived(frozen, None),
            "a/lib",
            "3.0.0",
            AccessCode::VersionNotAllowed,
        ),
        (
            "frozen, any",
            &fine,
            derived(frozen, None),
            "a/lib",
            "",
            AccessCode::Ok,
        ),
        (
            "frozen, listed",
            &fine,
            derived(frozen, Some(exact)),
            "a/lib",
            "2.0",
            AccessCode::Ok,
        ),
        (
            "frozen, not listed",
            &fine,
            derived(frozen, Some(exact)),
            "a/lib",
            "2.1.0",
            AccessCode::VersionNotFrozen,
        ),
        (
            "frozen, listed, not granted",
            &fine,
            derived(frozen, Some(exact)),
            "a/other",
            "1.0.0.0",
            AccessCode::Ok,
        ),
        (
            "frozen, package not listed",
            &fine,
            derived(frozen, Some(exact)),
            "a/broken",
            "1.0",
            AccessCode::VersionNotFrozen,
        ),
        (
            "frozen, package unknown",
            &fine,
            derived(frozen, Some(exact)),
            "a/none",
            "1.0",
            AccessCode::PackageNotGranted,
        ),
        (
            "list kept, not frozen",
            &fine,
            derived(Status::Active, Some(exact)),
            "a/lib",
            "2.1.0",
            AccessCode::Ok,
        ),
    ];
    for (name, token, derived, package, version, expected) in cases {
        let grants = live(&grants, &derived);
        let holder = Holder {
            token: Some(token),
            derived: &derived,
            grants: &grants,
            releases: &releases,
            schemes: &Schemes::default(),
        };
        let version = Some(version).filter(|version| !version.is_empty());
        assert_eq!(
            decided(holder, package, version, at(100)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn frozen_without_known_releases_reaches_nothing() {
    let derived = derived(Status::Frozen { at: at(20) }, None);
    let grants = live(&[grant("a/lib", "*")], &derived);
    let holder = Holder {
        token: None,
        derived: &derived,
        grants: &grants,
        releases: &[],
        schemes: &Schemes::default(),
    };
    for version in [None, Some("1.0.0")] {
        assert_eq!(
            decided(holder, "a/lib", version, at(100)),
            AccessCode::VersionNotFrozen
        );
    }
    assert_eq!(frozen_versions(holder), Some(Vec::new()));
    assert!(everything(holder, at(100)).is_empty());
}

#[test]
fn everything_is_what_the_check_allows() {
    let grants = [
        grant("a/lib", "^2.0"),
        grant("a/lib", "^1.0"),
        grant("b/tool", "*"),
    ];
    let releases = releases();
    let narrow = token(&["a/*"], None);
    let active = derived(Status::Active, None);
    let undated = live(&grants, &active);
    let holder = Holder {
        token: Some(&narrow),
        derived: &active,
        grants: &undated,
        releases: &releases,
        schemes: &Schemes::default(),
    };
    let both = ["^1.0", "^2.0"].map(str::to_owned).into();
    let extent = Extent {
        scheme: Scheme::Composer,
        constraints: both,
        versions: Vec::new(),
    };
    let expected = BTreeMap::from([("a/lib".to_owned(), extent)]);
    assert_eq!(everything(holder, at(100)), expected);

    let frozen = derived(Status::Frozen { at: at(20) }, None);
    let dated = live(&grants, &frozen);
    let holder = Holder {
        derived: &frozen,
        grants: &dated,
        ..holder
    };
    let two = vec!["1.0.0".to_owned(), "2.0.0".to_owned()];
    let extent = Extent {
        scheme: Scheme::Composer,
        constraints: BTreeSet::new(),
        versions: two,
    };
    let expected = BTreeMap::from([("a/lib".to_owned(), extent)]);
    assert_eq!(everything(holder, at(100)), expected);

    let suspended = derived(Status::Suspended, None);
    assert!(
        everything(
            Holder {
                derived: &suspended,
                ..holder
            },
            at(100)
        )
        .is_empty()
    );
}

#[test]
fn a_semver_package_is_decided_by_semver() {
    let (until, releases) = (at(20), semver_releases());
    let active = derived(Status::Active, None);
    let grants = live(
        &[
            grant("ui", "^1.2"),
            grant("@a/kit", "1.2.0"),
            grant("a/lib", "1.2.0"),
            grant("b", "^1 || ^2"),
        ],
        &active,
    );
    let schemes = ["ui", "@a/kit", "b"].map(|it| (it.to_owned(), Scheme::Semver));
    let schemes = Schemes::from_iter(schemes);
    let holder = Holder {
        token: None,
        derived: &active,
        grants: &grants,
        releases: &releases,
        schemes: &schemes,
    };
    for (package, version, expected) in [
        ("ui", "1.10.0", AccessCode::Ok),
        ("ui", "1.10.0+build.7", AccessCode::Ok),
        ("ui", "1.3.0-beta.1", AccessCode::VersionNotAllowed),
        ("ui", "2.0.0", AccessCode::VersionNotAllowed),
        ("ui", "1.2", AccessCode::VersionNotAllowed),
        ("ui", "dev-main", AccessCode::VersionNotAllowed),
        // A bare version is a caret to the one, exactly that version to the other.
        ("@a/kit", "1.9.0", AccessCode::Ok),
        ("a/lib", "1.9.0", AccessCode::VersionNotAllowed),
        ("a/lib", "v1.2", AccessCode::Ok),
        ("b", "1.0.0", AccessCode::VersionNotAllowed),
    ] {
        let code = decided(holder, package, Some(version), at(100));
        assert_eq!(code, expected, "{package} {version}");
    }
    let unreadable: Vec<&str> = unreadable(holder).map(|it| &*it.grant.package).collect();
    assert_eq!(unreadable, ["b"]);
    let all = everything(holder, at(100));
    assert_eq!(all["ui"].scheme, Scheme::Semver);
    assert_eq!(all["a/lib"].scheme, Scheme::Composer);
    assert!(!all.contains_key("b"));

    let dated = grants.iter().cloned().map(|live| LiveGrant {
        until: Some(until),
        ..live
    });
    let dated: Vec<LiveGrant> = dated.collect();
    let holder = Holder {
        grants: &dated,
        ..holder
    };
    for (version, expected) in [
        ("1.2.0", AccessCode::Ok),
        ("1.2.0+rebuilt", AccessCode::Ok),
        ("1.10.0", AccessCode::Ok),
        ("1.11.0", AccessCode::VersionNotFrozen),
    ] {
        assert_eq!(
            decided(holder, "ui", Some(version), at(100)),
            expected,
            "{version}"
        );
    }
    // By precedence: as texts, 1.10.0 comes before 1.9.0.
    let expected = ["1.2.0+first", "1.9.0", "1.10.0"].map(str::to_owned);
    assert_eq!(everything(holder, at(100))["ui"].versions, expected);

    let exact: &[(&str, &str)] = &[("ui", "1.2.0+first"), ("ui", "2.0.0-rc.1")];
    let frozen = derived(Status::Frozen { at: until }, Some(exact));
    let holder = Holder {
        derived: &frozen,
        ..holder
    };
    for (version, expected) in [
        ("1.2.0", AccessCode::Ok),
        ("2.0.0-rc.1", AccessCode::Ok),
        ("2.0.0-rc.2", AccessCode::VersionNotFrozen),
        ("1.9.0", AccessCode::VersionNotFrozen),
    ] {
        assert_eq!(
            decided(holder, "ui", Some(version), at(100)),
            expected,
            "{version}"
        );
    }
}

fn semver_releases() -> Vec<Release> {
    [
        ("1.10.0", 15),
        ("1.2.0+first", 10),
        ("1.9.0", 12),
        ("1.11.0", 30),
    ]
    .map(|(version, second)| Release::new(Scheme::Semver, "ui", version, at(second)).unwrap())
    .into()
}

#[test]
fn codes_are_distinct_words() {
    let words: BTreeSet<&str> = AccessCode::ALL
        .into_iter()
        .map(AccessCode::as_str)
        .collect();
    assert_eq!(words.len(), AccessCode::ALL.len());
    for code in AccessCode::ALL {
        assert_eq!(serde_json::json!(code), code.as_str());
    }
}

#[test]
fn what_is_long_counts_as_many_comparisons() {
    let count = |grants: &[PackageGrant], versions| comparisons(grants, versions);
    let long = "1.0||".repeat(200);
    assert!(count(&[grant("a/lib", "^1.0")], 1_000) < 2_000);
    assert!(count(&[grant("a/lib", &long)], 100) > 2_000);
    assert!(count(&[grant("a/lib", &long)], 0) > 200);
    // A version is compared with constraints of its own package alone.
    let each = [grant("a/lib", "^1.0"), grant("a/other", "^1.0")];
    let twice = [grant("a/lib", "^1.0"), grant("a/lib", "^2.0")];
    assert!(count(&each, 1_000) < count(&twice, 1_000));
}
