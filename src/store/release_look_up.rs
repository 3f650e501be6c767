//! Looking up the releases of many packages at once, for access checks and the Composer front.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{FromRow, Reader, Rows, binds, record};
use super::{Store, StoreError};
use crate::domain::access::release::Release;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

record! {
    struct Wanted<'a> {
        app: &'a AppSlug,
        package: &'a str,
    }
}

record! {
    struct OfApp from "releases" {
        app: AppSlug,
    }
}

record! {
    struct Marked from "release_marks" {
        app: AppSlug,
        package: String,
        mark: Timestamp,
    }
}

const MARKS: &str = r"
    SELECT release_marks.app, release_marks.package, release_marks.mark
    FROM {rows} AS wanted
    JOIN release_marks
        ON release_marks.app = wanted.app AND release_marks.package = wanted.package
";

const RELEASES: &str = r"
    SELECT
        releases.app, releases.package, releases.version, releases.normalized,
        releases.released_at, releases.reference
    FROM {rows} AS wanted
    JOIN releases ON releases.app = wanted.app AND releases.package = wanted.package
";

impl Store {
    /// Returns what stands for the releases of each of these packages, see `Tx::release_mark`. One without
    /// releases has none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_marks(
        &self,
        packages: &BTreeSet<(AppSlug, String)>,
    ) -> Result<BTreeMap<(AppSlug, String), Timestamp>, StoreError> {
        let mut marks = BTreeMap::new();
        for row in &self.look_up(MARKS, binds![wanted(packages)]).await? {
            let Marked { app, package, mark } = Marked::from_row(&mut Reader::new(row))?;
            marks.insert((app, package), mark);
        }
        Ok(marks)
    }

    /// Returns the releases of each of these packages.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn releases_of(
        &self,
        packages: &BTreeSet<(AppSlug, String)>,
    ) -> Result<BTreeMap<(AppSlug, String), Vec<Release>>, StoreError> {
        let mut releases: BTreeMap<_, Vec<Release>> = BTreeMap::new();
        for row in &self.look_up(RELEASES, binds![wanted(packages)]).await? {
            let mut reader = Reader::new(row);
            let OfApp { app } = OfApp::from_row(&mut reader)?;
            let release = Release::from_row(&mut reader)?;
            let key = (app, release.package.clone());
            releases.entry(key).or_default().push(release);
        }
        Ok(releases)
    }
}

fn wanted(packages: &BTreeSet<(AppSlug, String)>) -> Rows<Wanted<'_>> {
    let rows = packages.iter();
    rows.map(|(app, package)| Wanted { app, package }).collect()
}
