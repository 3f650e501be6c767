//! Keeps when versions came out, as it was read from the store.
//!
//! A customer who is frozen to a date needs all releases of a package for each question. They are read
//! once, and kept under the mark that the store gives them, which changes with them: whoever asks reads
//! the mark first, so nothing that is kept here can be out of date.

use std::fmt;
use std::sync::Arc;

use super::cache::Cache;
use crate::domain::access::released::Released;
use crate::domain::access::versions::Scheme;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

/// What all of it may weigh together, in bytes: the releases of a hundred packages with a thousand
/// each.
const RELEASES: usize = 32 << 20;
/// About how many bytes a release takes: the version in its normalised form and in numbers, and its
/// time.
const RELEASE: usize = 256;

/// Releases of one package, and the mark under which they were read.
type Marked = (Timestamp, Arc<Released>);

/// Releases of packages. Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct Releases(Arc<Cache<Key, Marked>>);

/// A package, and how its versions were read.
type Key = (AppSlug, String, Scheme);

/// Never shows what is in them.
impl fmt::Debug for Releases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Releases")
    }
}

impl Default for Releases {
    fn default() -> Self {
        Self(Arc::new(Cache::new(RELEASES)))
    }
}

impl Releases {
    /// Returns the releases of a package that were read under this mark, in this scheme.
    pub fn get(
        &self,
        app: &AppSlug,
        package: &str,
        scheme: Scheme,
        mark: Timestamp,
    ) -> Option<Arc<Released>> {
        let kept = self.0.get(&(app.clone(), package.to_owned(), scheme));
        kept.filter(|(of, _)| *of == mark).map(|(_, kept)| kept)
    }

    /// Keeps the releases of a package that were read after this mark.
    pub fn put(
        &self,
        app: &AppSlug,
        package: &str,
        scheme: Scheme,
        mark: Timestamp,
        releases: Arc<Released>,
    ) {
        let weight = package.len() + releases.len() * RELEASE;
        let key = (app.clone(), package.to_owned(), scheme);
        self.0.put(key, (mark, releases), weight);
    }
}
