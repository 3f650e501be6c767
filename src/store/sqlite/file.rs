//! The file of the embedded store.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

/// Makes the file, if it is missing, so that only its owner can read it, whatever folder it lies
/// in: it holds personal data. SQLite gives the files that it makes beside it the same mode.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}
