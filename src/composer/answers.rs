//! Keeps files of metadata that were written for customers.
//!
//! A file is kept under everything that it is made of: what the repository says, which versions may be
//! had, and the address of their archives. Whose it is is no part of that, so whoever may have the same
//! versions gets the same file. Which ones may be had is decided anew for each request, from what is
//! granted at that moment: nothing that is kept here lets anybody in, and nothing of it can be out of
//! date.
//!
//! The same makes the tag of a file (`ETag`), so whoever has it already is told so before it is written.
//! Refused: a digest of the content, for which it would have to be written first.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::answer::{self, Selection};
use super::cache::Cache;
use super::metadata::Listed;
use super::upstream::Found;

/// What all kept files may weigh together, in bytes. A package of two thousand versions takes about
/// half a MiB, so those of a hundred ways to have it fit.
const ANSWERS: usize = 64 << 20;

/// Stands for the content of a file. The same in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag([u8; 16]);

/// In hexadecimal digits.
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A file that is not written yet.
#[derive(Debug)]
pub struct Draft {
    found: Found,
    package: String,
    dists: String,
    selection: Selection,
    tag: Tag,
}

impl Draft {
    /// Drafts the file of a package: those versions that `allows` lets through. `dists` is the address
    /// here below which its archives are, with a slash at its end.
    pub fn new(
        found: Found,
        package: String,
        dists: String,
        allows: impl FnMut(&Listed) -> bool,
    ) -> Self {
        let selection = Selection::new(found.of(&package), allows);
        let mut digest = Sha256::new();
        // Another release may write the same in another way.
        let texts = [env!("CARGO_PKG_VERSION"), &package, &dists];
        for part in texts
            .map(str::as_bytes)
            .into_iter()
            .chain([selection.bits()])
        {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        for file in &found.files {
            digest.update(file.digest);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut tag = [0; 16];
        tag.copy_from_slice(&digest[..16]);
        Self {
            found,
            package,
            dists,
            selection,
            tag: Tag(tag),
        }
    }

    /// Returns the tag of the file.
    pub const fn tag(&self) -> Tag {
        self.tag
    }

    /// Counts its versions.
    pub const fn versions(&self) -> usize {
        self.selection.count()
    }

    fn write(&self) -> Bytes {
        let packages = self.found.of(&self.package);
        let mut text = answer::package(&self.package, packages, &self.dists, &self.selection);
        text.shrink_to_fit();
        text.into()
    }
}

/// Files that were written. Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct Answers(Arc<Cache<Tag, Bytes>>);

/// Never shows what is in them.
impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self(Arc::new(Cache::new(ANSWERS)))
    }
}

impl Answers {
    /// Returns a file that is kept.
    pub fn get(&self, tag: Tag) -> Option<Bytes> {
        self.0.get(&tag)
    }

    /// Writes a file, and keeps it.
    pub fn write(&self, draft: &Draft) -> Bytes {
        let file = draft.write();
        self.0.put(draft.tag, file.clone(), file.len());
        file
    }
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
