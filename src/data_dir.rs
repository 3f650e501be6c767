//! One process at a time serves a data folder: the built-in queue knows in memory alone which
//! messages are being worked on.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::server::StartError;

/// Held as long as it lives; the system frees it also when the process is killed.
pub(crate) struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock of a data folder.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, StartError> {
        let path = data_dir.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StartError::io(format!("opening `{}`", path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StartError::Locked(data_dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(StartError::Io {
                what: format!("locking `{}`", path.display()),
                source,
            }),
        }
    }
}
