//! The key file of a data folder: keys in base64, one a line or separated by commas, as
//! `TOLLGATE_SECRET_KEY` takes them. The first seals, all open.
//!
//! It is always replaced as a whole, so that a reader finds the old keys or the new ones and never
//! a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;

use super::error::VaultError;
use super::key::{Key, KeyId, Keys};
use crate::random;

/// What tells that a file was replaced: when it was written, and its length.
pub(super) type Stamp = Option<(SystemTime, u64)>;

/// Returns the stamp of a file; `None` if it cannot be asked for.
pub(super) fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads the keys of a file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Keys>, VaultError> {
    let Some(text) = read_text(path)? else {
        return Ok(None);
    };
    keys_of(path, &text).map(Some)
}

/// Makes a file with one new key, unless there is one.
pub(super) fn make(path: &Path) -> Result<Keys, VaultError> {
    let key = new_key()?;
    write_new(path, &format!("{}\n", STANDARD.encode(*key))).map_err(failed(path))?;
    Ok(Keys::new(&key, []))
}

/// Puts a new key before those of a file, so that it seals from now on. Returns its id.
///
/// # Errors
/// When the file cannot be read or replaced, or holds something else.
pub fn add_key(path: &Path) -> Result<KeyId, VaultError> {
    let text = read_text(path)?.unwrap_or_default();
    keys_of(path, &text)?;
    let key = new_key()?;
    let text = Zeroizing::new(format!("{}\n{}\n", STANDARD.encode(*key), text.trim()));
    replace(path, &text)?;
    Ok(Key::new(&key).id)
}

/// Leaves only the first key in a file.
///
/// # Errors
/// When the file cannot be read or replaced, or holds something else.
pub fn remove_old_keys(path: &Path) -> Result<(), VaultError> {
    let text = read_text(path)?.unwrap_or_default();
    keys_of(path, &text)?;
    let first = entries(&text).next().unwrap_or_default();
    replace(path, &Zeroizing::new(format!("{first}\n")))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> VaultError {
    move |source| VaultError::File {
        path: path.to_owned(),
        source,
    }
}

fn read_text(path: &Path) -> Result<Option<Zeroizing<String>>, VaultError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

fn new_key() -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let key = random::bytes::<32>().map_err(|source| VaultError::Random { source })?;
    Ok(Zeroizing::new(key))
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    parts.filter(|part| !part.is_empty())
}

fn keys_of(path: &Path, text: &str) -> Result<Keys, VaultError> {
    let malformed = || VaultError::Malformed {
        path: path.to_owned(),
    };
    let keys: Option<Vec<Zeroizing<[u8; 32]>>> = entries(text).map(key_of).collect();
    let keys = keys.ok_or_else(malformed)?;
    let (first, old) = keys.split_first().ok_or_else(malformed)?;
    Ok(Keys::new(first, old.iter().map(|key| &**key)))
}

fn key_of(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    let key: [u8; 32] = bytes.as_slice().try_into().ok()?;
    Some(Zeroizing::new(key))
}

/// Writes a file that must not be there yet: two processes that start at once must not both
/// believe in their own key.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Gives a new file the owner and the permissions of the one that it replaces: a rotation may run as
/// another user than the server, which must go on reading its keys.
#[cfg(unix)]
fn take_over_owner(new: &Path, old: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};

    let (made, before) = (fs::metadata(new)?, fs::metadata(old)?);
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        chown(new, Some(before.uid()), Some(before.gid()))?;
    }
    fs::set_permissions(new, before.permissions())
}

#[cfg(not(unix))]
fn take_over_owner(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Replaces a file, durably: what is sealed from now on is lost without it.
fn replace(path: &Path, text: &str) -> Result<(), VaultError> {
    let new = PathBuf::from(format!("{}.new", path.display()));
    let replaced = (|| {
        match fs::remove_file(&new) {
            // Left behind by a process that was killed here.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        write_new(&new, text)?;
        take_over_owner(&new, path)?;
        fs::rename(&new, path)?;
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    })();
    replaced.map_err(failed(path))
}
