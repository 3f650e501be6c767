//! The data folder: private to its owner, and served by one process at a time, because the
//! built-in queue keeps only in memory which messages are being processed.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// The data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The folder or its lock file could not be made, opened or locked.
    #[error(
        "{what} failed; the folder of the embedded store (TOLLGATE_DATA_DIR, or that of DATABASE_URL) \
         has to be one in which the user of this process may write"
    )]
    Io {
        /// The operation, with its path.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Another process serves the folder.
    #[error(
        "another process serves `{}`, and the built-in queue serves one at a time: \
         stop the other one, or set TOLLGATE_DATA_DIR to another folder", .0.display()
    )]
    Locked(PathBuf),
    /// Another process rotates the key of the folder.
    #[error("another `tollgate rotate-key` runs on `{}`", .0.display())]
    Rotating(PathBuf),
}

impl DataDirError {
    fn io(operation: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let what = format!("{operation} `{}`", path.display());
        move |source| Self::Io { what, source }
    }
}

/// Makes a folder that only its owner can enter: it will hold a key and personal data.
pub(crate) fn make(folder: &Path) -> Result<(), DataDirError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(DataDirError::io("making", folder))
}

/// A lock that lasts as long as this value; the system also releases it when the process is
/// killed.
pub(crate) struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock of a data folder.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, DataDirError> {
        Self::take_file(data_dir, "lock", DataDirError::Locked)
    }

    /// Takes the lock of a rotation of the folder's key, which a server that runs does not hold.
    pub(crate) fn take_for_rotation(data_dir: &Path) -> Result<Self, DataDirError> {
        Self::take_file(data_dir, "rotation.lock", DataDirError::Rotating)
    }

    fn take_file(
        data_dir: &Path,
        name: &str,
        taken: fn(PathBuf) -> DataDirError,
    ) -> Result<Self, DataDirError> {
        let path = data_dir.join(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(DataDirError::io("opening", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(taken(data_dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(DataDirError::io("locking", &path)(source)),
        }
    }
}

/// Makes a file in a folder and removes it.
pub(crate) fn try_write(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".tollgate-check-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)
}
