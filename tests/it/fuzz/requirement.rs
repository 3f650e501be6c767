//! Constraints and versions of packages that are read by SemVer.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};

use tollgate::domain::access::versions::{Scheme, Version};

fn hash(version: &Version) -> u64 {
    let mut hasher = DefaultHasher::new();
    version.hash(&mut hasher);
    hasher.finish()
}

/// Five lines: two constraints and three versions.
pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.splitn(5, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let constraints = [line(), line()];
    let versions = [line(), line(), line()];
    let constraints = constraints.map(|text| {
        let parsed = Scheme::Semver.constraint(text);
        assert_eq!(parsed, Scheme::Semver.constraint(text), "the same twice");
        if let Err(error) = &parsed {
            let sentence = error.to_string();
            assert!(
                !error.code().is_empty() && !sentence.contains('\n'),
                "{error:?}"
            );
            assert!(sentence.len() < 2_000, "{error:?}");
        }
        parsed.ok()
    });
    let versions: Vec<Version> = versions.into_iter().filter_map(read).collect();
    for constraint in constraints.iter().flatten() {
        // What is stored is what was written; what is shown means the same.
        let again = Scheme::Semver.constraint(constraint.as_str()).unwrap();
        assert_eq!(again, *constraint);
        let meant = Scheme::Semver.constraint(&constraint.meaning()).unwrap();
        assert_eq!(meant.meaning(), constraint.meaning());
        for version in &versions {
            assert_eq!(
                meant.allows(version),
                constraint.allows(version),
                "{version}"
            );
        }
    }
    order(&versions);
    let [Some(one), Some(other)] = &constraints else {
        return;
    };
    let both = format!("{}, {}", one.as_str(), other.as_str());
    let Ok(both) = Scheme::Semver.constraint(&both) else {
        return;
    };
    // What both allow, the two together allow; a pre-release needs only one that names it.
    for version in &versions {
        let each = one.allows(version) && other.allows(version);
        assert!(
            !each || both.allows(version),
            "{one:?}, {other:?}: {version}"
        );
        let either = one.allows(version) || other.allows(version);
        assert!(
            either || !both.allows(version),
            "{one:?}, {other:?}: {version}"
        );
    }
}

fn read(text: &str) -> Option<Version> {
    match Scheme::Semver.version(text) {
        Ok(version) => {
            // The normalised text is a key: one for all spellings.
            let again = Scheme::Semver.version(&version.to_string()).unwrap();
            assert_eq!(again, version);
            assert_eq!(again.to_string(), version.to_string());
            assert!(!version.is_dev() && !version.to_string().contains('+'));
            Some(version)
        }
        Err(error) => {
            assert_eq!(Scheme::Semver.version(text), Err(error.clone()));
            assert!(error.to_string().len() < 2_000, "{error:?}");
            None
        }
    }
}

/// The order is total, and equality and the normalised text go with it.
fn order(versions: &[Version]) {
    for one in versions {
        for other in versions {
            let order = one.cmp(other);
            assert_eq!(order, other.cmp(one).reverse(), "{one} {other}");
            assert_eq!(order == Ordering::Equal, one == other, "{one} {other}");
            assert_eq!(one == other, one.to_string() == other.to_string());
            assert!(one != other || hash(one) == hash(other), "{one} {other}");
            for third in versions {
                let is_chain = order.is_le() && other.cmp(third).is_le();
                assert!(!is_chain || one.cmp(third).is_le(), "{one} {other} {third}");
            }
        }
    }
}
