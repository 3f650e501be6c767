//! The file of the embedded store.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use crate::store::StoreError;
use crate::store::error::Trouble;

/// Makes the file, if it is missing, so that only its owner can read it, whatever folder it lies
/// in: it holds personal data. SQLite gives the files that it makes beside it the same mode.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => {
            follow_owner(&file, path);
            Ok(())
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => Ok(()),
    }
}

/// The same for a store that is to be opened.
///
/// # Errors
/// When it cannot be made, or is there and this user may not read it.
pub(super) fn make_readable(path: &Path) -> Result<(), StoreError> {
    let made = make_private(path).and_then(|()| File::open(path));
    made.map(drop).map_err(|error| {
        let (trouble, error) = match error.kind() {
            io::ErrorKind::PermissionDenied => (Trouble::Forbidden, denied(path)),
            _ => (Trouble::Away, error),
        };
        StoreError::Database {
            source: sqlx::Error::Io(error).into(),
            trouble,
        }
    })
}

fn denied(path: &Path) -> io::Error {
    let text = format!(
        "this user may not use {}: run this as the user whose file it is, or give it to this one",
        path.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// Gives a file that root made to the owner of its folder: a token that was made before the first start must not
/// keep the server from its own store. SQLite does the same with the files that it makes beside it.
///
/// By its handle: whoever owns the folder could put a link to another file in its place.
#[cfg(unix)]
fn follow_owner(made: &File, path: &Path) {
    use std::os::unix::fs::{MetadataExt, fchown};

    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = std::fs::metadata(folder.unwrap_or(Path::new(".")));
    let (Ok(file), Ok(folder)) = (made.metadata(), folder) else {
        return;
    };
    // Nobody else may, and who uses the file next is told.
    if file.uid() == 0 && folder.uid() != 0 {
        let _ = fchown(made, Some(folder.uid()), Some(folder.gid()));
    }
}

#[cfg(not(unix))]
fn follow_owner(_: &File, _: &Path) {}

/// Which file stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(#[cfg(unix)] (u64, u64));

impl FileId {
    /// Finds out.
    ///
    /// # Errors
    /// When there is none, or it cannot be looked at.
    #[cfg(unix)]
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;

        let found = std::fs::metadata(path)?;
        Ok(Self((found.dev(), found.ino())))
    }

    #[cfg(not(unix))]
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|_| Self())
    }
}

/// Refuses to write if the file at a path is another one than was opened, or none: it is still open, and would take
/// everything, but with the last process that has it open all of that would be gone. Asks the system once, which
/// takes about a microsecond.
///
/// # Errors
/// [`Trouble::Replaced`].
pub(super) fn refuse_replaced(path: &Path, opened: FileId) -> Result<(), StoreError> {
    let error = match FileId::at(path) {
        Ok(found) if found == opened => return Ok(()),
        Ok(_) => io::Error::other("another file stands in its place"),
        Err(error) => error,
    };
    Err(StoreError::Database {
        source: sqlx::Error::Io(error).into(),
        trouble: Trouble::Replaced,
    })
}
