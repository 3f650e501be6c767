//! Versions.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};

use tollgate::domain::access::constraint::{Constraint, Stability, Version};
use tollgate::domain::access::release::Release;
use tollgate::domain::access::versions::Scheme;
use tollgate::domain::time::Timestamp;

fn hash(version: &Version) -> u64 {
    let mut hasher = DefaultHasher::new();
    version.hash(&mut hasher);
    hasher.finish()
}

/// Three lines, a version each.
pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut versions = Vec::new();
    for text in text.splitn(3, '\n') {
        let _ = Stability::of_text(text);
        let _ = Version::from_branch(text);
        match Version::parse(text) {
            Ok(version) => versions.push((text, version)),
            Err(error) => {
                assert_eq!(Version::parse(text), Err(error.clone()), "the same twice");
                assert!(error.to_string().len() < 2_000, "{error:?}");
            }
        }
    }
    for (text, version) in &versions {
        let again = Version::parse(text).unwrap();
        assert_eq!((again.as_str(), &again), (version.as_str(), version));
        let everything = Constraint::parse("*").unwrap();
        assert!(everything.allows(version), "{text:?}");
        let release = Release::new(
            Scheme::Composer,
            "acme/tool",
            text,
            Timestamp::from_nanos(0),
        )
        .unwrap();
        assert_eq!(release.normalized, version.as_str());
        // What is stored is what was written, and has to be readable again.
        assert_eq!(
            Version::parse(&release.version).as_ref(),
            Ok(version),
            "{text:?}"
        );
    }
    for (_, one) in &versions {
        for (_, other) in &versions {
            let order = one.cmp(other);
            assert_eq!(order, other.cmp(one).reverse(), "{one} {other}");
            assert_eq!(order == Ordering::Equal, one == other, "{one} {other}");
            assert!(one != other || hash(one) == hash(other), "{one} {other}");
            for (_, third) in &versions {
                let is_chain = order.is_le() && other.cmp(third).is_le();
                assert!(!is_chain || one.cmp(third).is_le(), "{one} {other} {third}");
            }
        }
    }
}
