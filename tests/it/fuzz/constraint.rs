//! Version constraints.

use tollgate::domain::access::constraint::{Constraint, Version};

/// Three lines: two constraints and a version.
pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (one, other, version) = (line(), line(), line());
    let version = Version::parse(version).ok();
    let parsed = [one, other].map(|text| {
        let parsed = Constraint::parse(text);
        assert_eq!(parsed, Constraint::parse(text), "the same twice");
        if let Err(error) = &parsed {
            assert!(
                error.at() <= text.len() && text.is_char_boundary(error.at()),
                "{error:?}"
            );
            assert!(
                !error.code().is_empty() && error.to_string().len() < 2_000,
                "{error:?}"
            );
        }
        parsed.ok()
    });
    for constraint in parsed.iter().flatten() {
        check(constraint, version.as_ref());
    }
    let [Some(one), Some(other)] = &parsed else {
        return;
    };
    // Either of two is what one of them allows.
    let (Some(version), Ok(either)) = (version, Constraint::parse(&format!("{one} || {other}")))
    else {
        return;
    };
    let allowed = one.allows(&version) || other.allows(&version);
    assert_eq!(
        either.allows(&version),
        allowed,
        "{one:?} or {other:?}: {version}"
    );
}

fn check(constraint: &Constraint, version: Option<&Version>) {
    let again = Constraint::parse(constraint.as_str()).unwrap();
    assert_eq!(again, *constraint, "it parses to itself");
    assert_eq!(again.meaning(), constraint.meaning());
    assert!(!constraint.any_of().is_empty());
    let spaced = Constraint::parse(&format!(" {constraint} "));
    if let Ok(spaced) = spaced {
        assert_eq!(
            spaced.any_of(),
            constraint.any_of(),
            "blanks around it mean nothing"
        );
    }
    let Some(version) = version else { return };
    let mut alternatives = constraint.any_of().iter();
    let plainly = alternatives.any(|bounds| bounds.iter().all(|bound| bound.allows(version)));
    assert_eq!(constraint.allows(version), plainly);
}
