//! Releases: the versions of a package, with their dates.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::Nanos;
use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::access::release::Release;
use crate::domain::id::AppSlug;

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
        Ok(())
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
    ) -> Result<u64, StoreError> {
        let rows = rows_of(releases);
        let sql = r"
            INSERT INTO releases (app, package, version, normalized, released_at, reference)
            SELECT $2, package, version, normalized, released_at, reference
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, package, normalized) DO NOTHING
        ";
        self.execute(sql, binds![rows, app]).await
    }

    /// Removes a release.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_delete(
        &mut self,
        app: &AppSlug,
        release: &Release,
    ) -> Result<(), StoreError> {
        let Release {
            package,
            normalized,
            ..
        } = release;
        let sql = "DELETE FROM releases WHERE app = $1 AND package = $2 AND normalized = $3";
        self.execute(sql, binds![app, package, normalized]).await?;
        Ok(())
    }

    /// Removes all releases of a package.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_delete_all(
        &mut self,
        app: &AppSlug,
        package: &str,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM releases WHERE app = $1 AND package = $2";
        self.execute(sql, binds![app, package]).await?;
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
