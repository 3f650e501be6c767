//! What somebody may have of a package, in words that registries understand.

use std::collections::BTreeSet;

use super::versions::Scheme;

/// The versions of a package that a customer may have: every one that one of these constraints
/// allows, and these ones, as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// How constraints and versions are read.
    pub scheme: Scheme,
    /// Constraints.
    pub constraints: BTreeSet<String>,
    /// Versions that no constraint may stand for, because more would match it later.
    pub versions: Vec<String>,
}
