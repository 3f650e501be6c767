//! Versions and constraints of packages that are declared `versions: semver`.
//!
//! The cases are facts on which the `semver` crate and npm's `node-semver` agree; where npm writes a
//! comma as a blank, the crate's spelling stands here. Where the two differ, the crate counts.

use proptest::prelude::*;
use tollgate::domain::access::versions::{ConstraintError, Scheme, Version, VersionError};

use Scheme::{Composer, Semver};

/// A constraint, versions that it allows, and versions that it does not.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const AGREED: &[Case] = &[
    (
        "=1.0.0",
        &["1.0.0", "1.0.0+any"],
        &["1.0.1", "0.9.9", "1.0.0-pre"],
    ),
    (
        "=0.1.0-beta2.a",
        &["0.1.0-beta2.a"],
        &["0.1.0", "0.1.0-beta2", "0.1.1-beta2.a"],
    ),
    (
        "=0.1.0+meta",
        &["0.1.0", "0.1.0+meta", "0.1.0+other"],
        &["0.1.1"],
    ),
    (
        ">=1.0.0",
        &["1.0.0", "2.0.0"],
        &["0.1.0", "1.0.0-pre", "2.0.0-pre"],
    ),
    (
        ">=2.1.0-alpha2",
        &["2.1.0-alpha2", "2.1.0-alpha3", "2.1.0", "3.0.0"],
        &["2.0.0", "2.1.0-alpha1", "2.0.0-alpha2", "3.0.0-alpha2"],
    ),
    (">1.2", &["1.3.0", "2.0.0"], &["1.2.0", "1.2.9"]),
    (">1", &["2.0.0"], &["1.0.0", "1.9.9"]),
    ("<=1.2", &["1.2.9", "0.1.0"], &["1.3.0"]),
    (
        "<1.0.0",
        &["0.1.0", "0.0.1"],
        &["1.0.0", "1.0.0-beta", "0.9.9-alpha"],
    ),
    (
        "<=2.1.0-alpha2",
        &["2.1.0-alpha2", "2.1.0-alpha1", "2.0.0"],
        &["2.1.0", "2.2.0-alpha1", "1.0.0-alpha2"],
    ),
    (
        ">1.0.0-alpha, <1.0.0",
        &["1.0.0-beta"],
        &["1.0.0", "1.0.0-alpha"],
    ),
    (
        ">0.0.9, <=2.5.3",
        &["0.0.10", "1.0.0", "2.5.3"],
        &["0.0.8", "2.5.4"],
    ),
    ("^0.3.0, ^0.4.0", &[], &["0.0.8", "0.3.0", "0.4.0"]),
    ("<=0.2.0, >=0.5.0", &[], &["0.0.8", "0.3.0", "0.5.1"]),
    (
        ">=0.5.1-alpha3, <0.6",
        &["0.5.1-alpha3", "0.5.1-beta", "0.5.1", "0.5.5"],
        &[
            "0.5.1-alpha1",
            "0.5.2-alpha3",
            "0.5.5-pre",
            "0.6.0",
            "0.6.0-pre",
        ],
    ),
    ("~1", &["1.0.0", "1.1.1"], &["0.9.1", "2.9.0"]),
    ("~1.2", &["1.2.0", "1.2.1"], &["1.1.1", "1.3.0"]),
    ("~1.2.2", &["1.2.2", "1.2.4"], &["1.2.1", "1.9.0", "0.1.3"]),
    (
        "~1.2.3-beta.2",
        &["1.2.3", "1.2.4", "1.2.3-beta.2", "1.2.3-beta.4"],
        &["1.3.3", "1.2.3-beta.1", "1.2.4-beta.2"],
    ),
    (
        "^1",
        &["1.1.2", "1.0.1"],
        &["0.9.1", "2.9.0", "1.0.0-beta1", "1.0.1-pre"],
    ),
    (
        "^1.1.2",
        &["1.1.2", "1.2.1"],
        &["1.1.1", "2.9.0", "1.1.2-alpha1", "1.1.3-alpha1"],
    ),
    (
        "^0.1.2",
        &["0.1.2", "0.1.4"],
        &["0.2.0", "1.1.1", "0.0.1", "0.1.2-beta"],
    ),
    ("^0.0.2", &["0.0.2"], &["0.0.1", "0.0.3", "0.1.4"]),
    ("^0.0", &["0.0.2", "0.0.0"], &["0.1.4", "1.1.1"]),
    ("^0", &["0.9.1", "0.0.2", "0.0.0"], &["2.9.0", "1.1.1"]),
    (
        "^1.4.2-beta.5",
        &["1.4.2", "1.4.3", "1.4.2-beta.5", "1.4.2-beta.6", "1.4.2-c"],
        &[
            "0.9.9",
            "2.0.0",
            "1.4.2-alpha",
            "1.4.2-beta.4",
            "1.4.3-beta.5",
        ],
    ),
    ("*", &["0.9.1", "2.9.0", "1.0.0+b"], &["1.0.0-pre"]),
    ("x", &["0.9.1", "2.9.0"], &["1.0.0-pre"]),
    ("1.*", &["1.2.0", "1.3.0"], &["0.0.9", "1.2.0-pre"]),
    ("1.x.x", &["1.2.0", "1.3.0"], &["2.0.0"]),
    (
        "1.2.*",
        &["1.2.0", "1.2.4"],
        &["1.9.0", "2.0.1", "1.2.2-pre"],
    ),
    ("0.0.*", &["0.0.0", "0.0.7"], &["0.1.0"]),
    ("=2.1.1-really.0", &["2.1.1-really.0"], &["2.1.1"]),
];

#[test]
fn cargos_requirements_allow_what_npms_ranges_allow() {
    for (text, allowed, refused) in AGREED {
        let constraint = Semver.constraint(text).expect(text);
        assert_eq!(constraint.as_str(), *text);
        for (versions, expected) in [(allowed, true), (refused, false)] {
            for version in *versions {
                let parsed = Semver.version(version).expect(version);
                assert_eq!(constraint.allows(&parsed), expected, "{text}: {version}");
            }
        }
    }
}

#[test]
fn where_npm_differs_the_crate_counts() {
    let bare = Semver.constraint("1.2.3").unwrap();
    assert_eq!(bare.meaning(), "^1.2.3");
    assert!(bare.allows(&Semver.version("1.9.0").unwrap()));
    for text in [
        "^1 || ^2",
        ">=1.0.0 <2.0.0",
        "1.0.0 - 2.0.0",
        "v1.2.3",
        "latest",
        "1.2.3.4",
        "^01.0.0",
        ">= >= 1.0.0",
        "=>1.0",
        "1.*.1",
        "1.0.0-",
        "1.0.0-01",
        "1.0.0,",
        ",1.0.0",
        "1.0.0\n",
        "^99999999999999999999",
        "dev-main",
        "",
        "  ",
    ] {
        assert!(Semver.constraint(text).is_err(), "{text:?}");
    }
    let many = vec![">0.1.0"; 33].join(",");
    assert!(Semver.constraint(&many).is_err(), "more than 32 bounds");
}

#[test]
fn one_text_means_what_its_scheme_says() {
    let cases = [
        ("2.0.0", "2.1.0", false, true),
        ("~1.2", "1.9.0", true, false),
        ("^1.0", "1.5.0-beta1", true, false),
        ("*", "1.0.0-beta1", true, false),
        ("<=1.2", "1.2.9", false, true),
    ];
    for (constraint, version, composer, semver) in cases {
        for (scheme, expected) in [(Composer, composer), (Semver, semver)] {
            let read = scheme.constraint(constraint).unwrap();
            let allowed = read.allows(&scheme.version(version).unwrap());
            assert_eq!(allowed, expected, "{scheme}: {constraint} and {version}");
        }
    }
    let mixed = Semver.constraint("*").unwrap();
    assert!(!mixed.allows(&Composer.version("1.0.0").unwrap()));
}

#[test]
fn versions_have_the_precedence_of_semver() {
    // https://semver.org/#spec-item-11
    let ascending = [
        "0.9.9",
        "1.0.0-0",
        "1.0.0-2",
        "1.0.0-11",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1-a",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0",
        "10.0.0",
    ];
    let versions = ascending.map(|text| Semver.version(text).expect(text));
    for pair in versions.windows(2) {
        assert!(pair[0] < pair[1], "{} {}", pair[0], pair[1]);
    }
    let plain = Semver.version("1.0.0-rc.1").unwrap();
    for text in ["1.0.0-rc.1+a", "1.0.0-rc.1+b.01"] {
        let built = Semver.version(text).unwrap();
        assert_eq!(built, plain, "build metadata has no part in precedence");
        assert_eq!(built.to_string(), "1.0.0-rc.1");
    }
}

#[test]
fn what_is_no_semver_version_is_refused() {
    for (text, code) in [
        ("", "empty"),
        (" ", "empty"),
        ("v1.2.3", "semver_prefix"),
        ("1", "bad_version"),
        ("1.2", "bad_version"),
        ("1.2.3.4", "bad_version"),
        ("01.2.3", "bad_version"),
        ("1.2.3-", "bad_version"),
        ("1.2.3-01", "bad_version"),
        ("1.2.3-a..b", "bad_version"),
        ("1.2.3+", "bad_version"),
        (" 1.2.3", "bad_version"),
        ("1.2.3\n", "bad_version"),
        ("^1.2.3", "bad_version"),
        ("dev-main", "bad_version"),
        ("1.2.18446744073709551616", "bad_version"),
    ] {
        let error = Semver.version(text).unwrap_err();
        assert!(matches!(error, VersionError::Semver(_)));
        assert_eq!(error.code(), code, "{text:?}: {error}");
    }
    let long = "1".repeat(16 * 1024 + 1);
    assert_eq!(Semver.version(&long).unwrap_err().code(), "too_long");
    let error = Semver.constraint("^1 || ^2").unwrap_err();
    assert!(matches!(error, ConstraintError::Semver(_)));
    assert_eq!(error.code(), "semver_alternatives");
    assert_eq!(Semver.constraint(&long).unwrap_err().code(), "too_long");
    assert_eq!(Semver.constraint(" ").unwrap_err().code(), "empty");
    assert_eq!(
        Semver.constraint("=>1").unwrap_err().code(),
        "bad_requirement"
    );
}

fn version() -> impl Strategy<Value = String> {
    "[0-3]\\.[0-3]\\.[0-3](-[0-9a-b]{1,2}(\\.[0-9a-b]{1,2})?)?(\\+[a-z0-9]{1,3})?"
}

fn constraint() -> impl Strategy<Value = String> {
    let bound = "(=|>|>=|<|<=|~|\\^)?[0-3](\\.[0-3](\\.[0-3](-[a-b1-9]{1,2})?)?|\\.\\*)?";
    proptest::collection::vec(bound, 1..4).prop_map(|bounds| bounds.join(", "))
}

proptest! {
    #[test]
    fn no_text_makes_semver_panic(text in "\\PC{0,40}|[0-9x*.,^~<>=|+ a-]{0,40}") {
        let _ = Semver.constraint(&text);
        if let Ok(version) = Semver.version(&text) {
            prop_assert_eq!(Semver.version(&version.to_string()), Ok(version));
        }
    }

    #[test]
    fn the_order_of_semver_versions_is_total(texts in proptest::collection::vec(version(), 3)) {
        let versions: Vec<Version> =
            texts.iter().filter_map(|text| Semver.version(text).ok()).collect();
        for one in &versions {
            for other in &versions {
                prop_assert_eq!(one.cmp(other), other.cmp(one).reverse());
                prop_assert_eq!(one.cmp(other).is_eq(), one == other);
                prop_assert_eq!(one == other, one.to_string() == other.to_string());
                for third in &versions {
                    prop_assert!(!(one <= other && other <= third) || one <= third);
                }
            }
        }
    }

    #[test]
    fn build_metadata_changes_no_answer(constraint in constraint(), text in version()) {
        let Ok(read) = Semver.constraint(&constraint) else { return Ok(()) };
        let bare = text.split('+').next().unwrap_or_default();
        if let (Ok(built), Ok(bare)) = (Semver.version(&text), Semver.version(bare)) {
            prop_assert_eq!(read.allows(&built), read.allows(&bare));
        }
    }

    #[test]
    fn what_a_semver_constraint_is_shown_as_means_the_same(
        constraint in constraint(),
        text in version(),
    ) {
        let Ok(read) = Semver.constraint(&constraint) else { return Ok(()) };
        let shown = Semver.constraint(&read.meaning()).unwrap();
        if let Ok(version) = Semver.version(&text) {
            prop_assert_eq!(shown.allows(&version), read.allows(&version));
        }
    }
}
