//! Releases: the versions of a package, with their dates.
//!
//! A package has a mark that changes with its releases, so that a process which has read them asks for
//! one row to know that they are still the same.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::Nanos;
use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::release::Release;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

record! {
    impl Release from "releases" { package, version, normalized, released_at, reference }
}

record! {
    struct NewRelease<'a> {
        package: &'a str,
        version: &'a str,
        normalized: &'a str,
        released_at: Nanos,
        reference: Option<&'a str>,
    }
}

impl Tx {
    /// Records releases. A version that is known, in whatever spelling, gets the new text, time and
    /// reference.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_put(
        &mut self,
        app: &AppSlug,
        releases: &[Release],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = rows_of(releases);
        let sql = r"
            INSERT INTO releases (app, package, version, normalized, released_at, reference)
            SELECT $2, package, version, normalized, released_at, reference
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, package, normalized) DO UPDATE SET
                version = excluded.version,
                released_at = excluded.released_at,
                reference = excluded.reference
        ";
        self.execute(sql, binds![rows, app]).await?;
        self.release_mark_put(app, packages_of(releases), now).await
    }

    /// Records releases that are not known yet; those that are stay as they are. Returns how many
    /// were new.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_note(
        &mut self,
        app: &AppSlug,
        releases: &[Release],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let rows = rows_of(releases);
        let sql = r"
            INSERT INTO releases (app, package, version, normalized, released_at, reference)
            SELECT $2, package, version, normalized, released_at, reference
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, package, normalized) DO NOTHING
        ";
        let new = self.execute(sql, binds![rows, app]).await?;
        self.release_mark_put(app, packages_of(releases), now)
            .await?;
        Ok(new)
    }

    /// Removes a release.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_delete(
        &mut self,
        app: &AppSlug,
        release: &Release,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Release {
            package,
            normalized,
            ..
        } = release;
        let sql = "DELETE FROM releases WHERE app = $1 AND package = $2 AND normalized = $3";
        self.execute(sql, binds![app, package, normalized]).await?;
        self.release_mark_put(app, [package.as_str()], now).await
    }

    /// Removes all releases of a package.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_delete_all(
        &mut self,
        app: &AppSlug,
        package: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM releases WHERE app = $1 AND package = $2";
        self.execute(sql, binds![app, package]).await?;
        self.release_mark_put(app, [package], now).await
    }

    /// Returns what stands for the present releases of a package: as long as it is the same, so are
    /// they. `None` if none were ever recorded.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_mark(
        &mut self,
        app: &AppSlug,
        package: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT mark FROM release_marks WHERE app = $1 AND package = $2";
        self.fetch_value("release_marks", sql, binds![app, package])
            .await
    }

    /// Marks that releases of some packages have changed. The mark is the time, or a little later: an
    /// app of the same name that is made after this one was deleted never has the same.
    async fn release_mark_put<'a>(
        &mut self,
        app: &AppSlug,
        packages: impl IntoIterator<Item = &'a str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO release_marks (app, package, mark)
            SELECT $2, key, $3
            FROM {rows} AS changed
            WHERE true
            ON CONFLICT (app, package) DO UPDATE SET
                mark = CASE
                    WHEN excluded.mark > release_marks.mark THEN excluded.mark
                    ELSE release_marks.mark + 1
                END
        ";
        self.execute(sql, binds![keys(packages), app, Nanos(now)])
            .await?;
        Ok(())
    }

    /// Lists the releases of some packages, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_list(
        &mut self,
        app: &AppSlug,
        packages: &BTreeSet<String>,
    ) -> Result<Vec<Release>, StoreError> {
        let sql = r"
            SELECT
                releases.package, releases.version, releases.normalized, releases.released_at,
                releases.reference
            FROM {rows} AS wanted
            JOIN releases ON releases.app = $2 AND releases.package = wanted.key
            ORDER BY releases.released_at DESC, releases.normalized DESC
        ";
        self.fetch(sql, binds![keys(packages), app]).await
    }

    /// Lists the versions of a package whose archives have this reference, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_list_referenced(
        &mut self,
        app: &AppSlug,
        package: &str,
        reference: &str,
    ) -> Result<Vec<Release>, StoreError> {
        let sql = r"
            SELECT package, version, normalized, released_at, reference
            FROM releases
            WHERE app = $1 AND package = $2 AND reference = $3
            ORDER BY released_at DESC, normalized DESC
        ";
        self.fetch(sql, binds![app, package, reference]).await
    }
}

/// The packages of some releases, each once.
fn packages_of(releases: &[Release]) -> BTreeSet<&str> {
    releases.iter().map(|it| it.package.as_str()).collect()
}

/// One row for each version, the last word on it: a statement may not write a row twice.
fn rows_of(releases: &[Release]) -> Rows<NewRelease<'_>> {
    let last: BTreeMap<(&str, &str), &Release> = releases
        .iter()
        .map(|it| ((it.package.as_str(), it.normalized.as_str()), it))
        .collect();
    last.into_values()
        .map(|release| NewRelease {
            package: &release.package,
            version: &release.version,
            normalized: &release.normalized,
            released_at: Nanos(release.released_at),
            reference: release.reference.as_deref(),
        })
        .collect()
}
