//! Packages as orders name them, by hand and in plans.

use std::collections::BTreeSet;

use crate::domain::access::plan::{MAX_CONSTRAINT, PackageGrant};
use crate::domain::access::versions::{Scheme, Schemes};
use crate::http::ApiError;
use crate::http::field_errors::{FieldErrors, checked};
use crate::pipeline::grants::MAX_GRANTS;

/// Refuses more packages than anybody may have.
pub(super) fn refuse_many(number: usize) -> Result<(), ApiError> {
    if number > MAX_GRANTS {
        let message = format!("must be at most {MAX_GRANTS} packages");
        return Err(ApiError::invalid_field("packages", message));
    }
    Ok(())
}

/// Reads a list of packages, each as `check` reads it, which is given its place; 422 with every fault.
/// `named_at` says where, in what is at a place, the package is named.
pub(super) fn read_all<B, T>(
    bodies: Vec<B>,
    check: impl Fn(B, &mut FieldErrors, &str) -> Option<T>,
    named_at: impl Fn(&B, &str) -> String,
    package: impl Fn(&T) -> &String,
) -> Result<Vec<T>, ApiError> {
    let mut field_errors = FieldErrors::default();
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, body) in bodies.into_iter().enumerate() {
        let at = format!("packages[{index}]");
        let named_at = named_at(&body, &at);
        if let Some(one) = check(body, &mut field_errors, &at) {
            if !seen.insert(package(&one).clone()) {
                field_errors.add(named_at, "is there twice");
            }
            all.push(one);
        }
    }
    field_errors.into_result()?;
    Ok(all)
}

/// Reads a package and its constraint, whose places are given for their faults.
pub(super) fn read_grant(
    field_errors: &mut FieldErrors,
    places: [String; 2],
    schemes: &Schemes,
    package: &str,
    constraint: Option<String>,
) -> Option<PackageGrant> {
    let [package_at, constraint_at] = places;
    let scheme = schemes.of(package);
    let package = checked(&package_at, scheme.package(package));
    let constraint = constraint.unwrap_or_else(|| "*".to_owned());
    let constraint = checked(&constraint_at, read_constraint(scheme, constraint));
    let (package, constraint) = (field_errors.note(package), field_errors.note(constraint));
    Some(PackageGrant {
        package: package?,
        constraint: constraint?,
    })
}

fn read_constraint(scheme: Scheme, text: String) -> Result<String, String> {
    if text.len() > MAX_CONSTRAINT {
        return Err(format!("must be at most {MAX_CONSTRAINT} bytes long"));
    }
    match scheme.constraint(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}
