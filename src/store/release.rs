//! Releases: which versions of a package came out when.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::driver::{Batch, Kind, Row, binds};
use super::{StoreError, Tx};
use crate::domain::access::release::Release;
use crate::domain::id::AppSlug;

const COLUMNS: &str =
    "releases.package, releases.version, releases.normalized, releases.released_at";

impl Tx {
    /// Records releases. A version that is known, in whatever spelling, gets the new text and
    /// time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_put(
        &mut self,
        app: &AppSlug,
        releases: &[Release],
    ) -> Result<(), StoreError> {
        if releases.is_empty() {
            return Ok(());
        }
        let mut rows = Batch::new(&[
            ("package", Kind::Text),
            ("version", Kind::Text),
            ("normalized", Kind::Text),
            ("released_at", Kind::Nanos),
        ]);
        // One row for each version, the last word on it: a statement may not write a row twice.
        let last: BTreeMap<(&str, &str), &Release> = releases
            .iter()
            .map(|it| ((it.package.as_str(), it.normalized.as_str()), it))
            .collect();
        for release in last.into_values() {
            rows.row([
                json!(release.package),
                json!(release.version),
                json!(release.normalized),
                json!(release.released_at),
            ]);
        }
        let sql = "INSERT INTO releases (app, package, version, normalized, released_at) \
                   SELECT $2, package, version, normalized, released_at \
                   FROM {rows} AS new WHERE true \
                   ON CONFLICT (app, package, normalized) DO UPDATE SET \
                   version = excluded.version, released_at = excluded.released_at";
        self.execute(sql, binds![rows, app.as_str()]).await?;
        Ok(())
    }

    /// The releases of some packages, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_list(
        &mut self,
        app: &AppSlug,
        packages: &BTreeSet<String>,
    ) -> Result<Vec<Release>, StoreError> {
        if packages.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM {{rows}} AS wanted JOIN releases \
             ON releases.app = $2 AND releases.package = wanted.key \
             ORDER BY releases.released_at DESC, releases.normalized DESC"
        );
        let rows = self
            .fetch(&sql, binds![Batch::keys(packages), app.as_str()])
            .await?;
        rows.iter().map(release_of).collect()
    }
}

pub(super) fn release_of(row: &Row) -> Result<Release, StoreError> {
    Ok(Release {
        package: row.text("package")?,
        version: row.text("version")?,
        normalized: row.text("normalized")?,
        released_at: row.time("released_at")?,
    })
}
