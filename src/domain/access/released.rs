//! When the versions of a package came out, read once for many questions.

use std::collections::HashMap;

use super::release::Release;
use super::versions::{Scheme, Version};
use crate::domain::time::Timestamp;

/// The first release of each version of a package. Looked up for each version that is listed, so by a
/// digest: to compare two versions takes longer than to read one through.
#[derive(Clone, Debug, Default)]
pub struct Released(HashMap<Version, Timestamp>);

impl Released {
    /// Reads the releases of a package among these. What is no version in its scheme is left out, and so is
    /// what moves on under its name: when it was first released says nothing of what it is now.
    pub fn of(scheme: Scheme, package: &str, releases: &[Release]) -> Self {
        let mut times = HashMap::new();
        for release in releases.iter().filter(|it| it.package == package) {
            let version = scheme.version(&release.version);
            if let Some(version) = version.ok().filter(|it| !it.is_dev()) {
                let first = times.entry(version).or_insert(release.released_at);
                *first = release.released_at.min(*first);
            }
        }
        Self(times)
    }

    /// Returns when a version came out first, if that is known.
    pub fn at(&self, version: &Version) -> Option<Timestamp> {
        self.0.get(version).copied()
    }

    /// Lists the versions with their times, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Version, Timestamp)> {
        self.0.iter().map(|(version, at)| (version, *at))
    }

    /// Counts the versions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if no version is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
