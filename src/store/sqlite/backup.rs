//! Copies of the embedded store, made while it is in use.
//!
//! `VACUUM INTO` reads in one transaction, which keeps no writer waiting, and writes a compact file
//! of its own. Refused: SQLite's online backup, which begins anew whenever another process writes, so
//! that under steady traffic it may never end; and copying the file, which is torn while pages of the
//! log move into it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqlSafeStr, SqliteConnection};

use super::error::failed;
use super::file::make_private;
use crate::store::StoreError;

/// A copy could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is there already, and is left as it is.
    #[error("{} is there already: give another name", .0.display())]
    Exists(PathBuf),
    /// The file could not be written.
    #[error("writing {} failed", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The store could not be read, or there is no room for the copy.
    #[error("copying the store failed")]
    Store(#[from] StoreError),
    /// The copy does not hold what it should.
    #[error("the copy is damaged ({0}), and was removed")]
    Damaged(String),
}

/// Copies the embedded store into a new file that only its owner can read. The file gets its name
/// when it is complete and on the disk. Returns its size in bytes.
///
/// # Errors
/// See [`BackupError`]. Nothing is left behind then.
pub async fn backup(store: &Path, to: &Path) -> Result<u64, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(format!(".partial-{}", std::process::id()));
    let partial = Partial(PathBuf::from(partial));
    copy(store, &partial.0, to).await
}

/// A copy that has no name yet. It is removed also when the wait for it is given up; after a success
/// this is the second name of the file.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn copy(store: &Path, partial: &Path, to: &Path) -> Result<u64, BackupError> {
    let io_failed = |source| BackupError::Io {
        path: to.to_owned(),
        source,
    };
    if let Err(error) = fs::remove_file(partial)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(io_failed(error));
    }
    // SQLite writes into a file that is empty, and leaves its mode as it is.
    make_private(partial).map_err(io_failed)?;
    let mut connection = open(store).await?;
    let name = partial.display().to_string().replace('\'', "''");
    let into = AssertSqlSafe(format!("VACUUM INTO '{name}'")).into_sql_str();
    let done = sqlx::query(into).execute(&mut connection).await;
    done.map_err(failed)?;
    connection.close().await.map_err(failed)?;

    let mut connection = open(partial).await?;
    let found: Result<String, _> = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut connection)
        .await;
    let found = found.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    if found != "ok" {
        return Err(BackupError::Damaged(found));
    }
    let file = File::open(partial).map_err(io_failed)?;
    file.sync_all().map_err(io_failed)?;
    let bytes = file.metadata().map_err(io_failed)?.len();
    give_name(partial, to)?;
    let folder = to.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new(".")));
    folder.and_then(|it| it.sync_all()).map_err(io_failed)?;
    Ok(bytes)
}

/// Gives the complete file its name, unless another has it by now.
fn give_name(partial: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::hard_link(partial, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::Exists(to.to_owned()))
        }
        // Some file systems have no second names.
        Err(_) => fs::rename(partial, to).map_err(|source| BackupError::Io {
            path: to.to_owned(),
            source,
        }),
    }
}

async fn open(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(5));
    SqliteConnection::connect_with(&options)
        .await
        .map_err(failed)
}
