//! Archives of branches that a Composer repository has had.

use super::cell::Nanos;
use super::record::{Rows, binds, record};
use super::{StoreError, Tx};
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

/// The archive of a branch at one of its commits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BranchArchive {
    /// Its name here, made of the branch and of what the archive is made of.
    pub file: String,
    /// The branch, as a version.
    pub version: String,
    /// Its address, as the repository has it.
    pub url: String,
}

record! {
    impl BranchArchive from "branch_archives" { file, version, url }
}

record! {
    struct SeenArchive<'a> {
        file: &'a str,
        version: &'a str,
        url: &'a str,
    }
}

impl Tx {
    /// Keeps archives of a package, each name once, of which the repository says now that it has them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn branch_archive_put(
        &mut self,
        app: &AppSlug,
        package: &str,
        archives: &[BranchArchive],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = archives.iter().map(|archive| SeenArchive {
            file: &archive.file,
            version: &archive.version,
            url: &archive.url,
        });
        let rows: Rows<SeenArchive<'_>> = rows.collect();
        let sql = r"
            INSERT INTO branch_archives (app, package, file, version, url, seen_at)
            SELECT $2, $3, file, version, url, $4
            FROM {rows} AS seen
            WHERE true
            ON CONFLICT (app, package, file) DO UPDATE SET
                url = excluded.url,
                seen_at = excluded.seen_at
        ";
        self.execute(sql, binds![rows, app, package, Nanos(now)])
            .await?;
        Ok(())
    }

    /// Forgets all archives of a package but so many, those that were seen last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn branch_archive_trim(
        &mut self,
        app: &AppSlug,
        package: &str,
        kept: u32,
    ) -> Result<(), StoreError> {
        let sql = r"
            DELETE FROM branch_archives
            WHERE app = $1
                AND package = $2
                AND file NOT IN (
                    SELECT file
                    FROM branch_archives
                    WHERE app = $1 AND package = $2
                    ORDER BY seen_at DESC, file
                    LIMIT $3
                )
        ";
        self.execute(sql, binds![app, package, kept]).await?;
        Ok(())
    }

    /// Lists the archives of a package.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn branch_archive_list(
        &mut self,
        app: &AppSlug,
        package: &str,
    ) -> Result<Vec<BranchArchive>, StoreError> {
        let sql = r"
            SELECT file, version, url
            FROM branch_archives
            WHERE app = $1 AND package = $2
            ORDER BY file
        ";
        self.fetch(sql, binds![app, package]).await
    }

    /// Finds an archive by its name here.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn branch_archive_find(
        &mut self,
        app: &AppSlug,
        package: &str,
        file: &str,
    ) -> Result<Option<BranchArchive>, StoreError> {
        let sql = r"
            SELECT file, version, url
            FROM branch_archives
            WHERE app = $1 AND package = $2 AND file = $3
        ";
        self.fetch_opt(sql, binds![app, package, file]).await
    }
}
