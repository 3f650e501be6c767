//! Fetches metadata and archives of repositories.
//!
//! A file in a folder is read again when its time or size changes; how long what came by HTTP is good
//! stands in `kept.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, Response, Url};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::cache::Cache;
pub use super::fetch::UpstreamError;
use super::fetch::{self, Change, Fetcher, Mark};
pub use super::kept::{Freshness, Loaded, Recorded};
use super::kept::{Kept, Place, State, given_up};
use super::location::{Repository, Target};
use super::metadata::{self, Package};
use crate::causes::chain;
use crate::domain::access::token::TokenHash;
use crate::request_context;

/// The longest wait for somebody else who asks for the same file, and for a file of which enough is
/// known.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// What all kept files may weigh together, in bytes.
const CACHE: usize = 128 << 20;
/// Most files that one `packages.json` may include.
const MAX_INCLUDES: usize = 100;

/// Reads repositories. Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct Upstream {
    fetcher: Fetcher,
    cache: Arc<Cache<String, Arc<Place>>>,
}

impl Default for Upstream {
    /// Makes one that knows nothing yet.
    fn default() -> Self {
        Self {
            fetcher: Fetcher::default(),
            cache: Arc::new(Cache::new(CACHE)),
        }
    }
}

impl Upstream {
    /// Returns the files that say which versions a package has, none if the repository does not
    /// have it. `dev`: its branches. Where all packages are in one file, so are both.
    ///
    /// # Errors
    /// When the repository does not answer, or not in Composer's words, and nothing is known of it.
    pub async fn package(
        &self,
        repository: &Repository,
        name: &str,
        dev: bool,
        freshness: Freshness,
    ) -> Result<Found, UpstreamError> {
        // Many packages have these in common, so a refresh asks once for all.
        let common = freshness.max(Freshness::Recent);
        let root = self.root(repository, common).await?;
        // A package in `packages.json` itself is not looked for elsewhere, as Composer has it.
        let is_inline = root.metadata.packages.contains_key(name);
        if let Some(template) = root.metadata.metadata_url.as_ref().filter(|_| !is_inline) {
            let listed = root.metadata.available.as_ref();
            if listed.is_some_and(|listed| !listed.contains(name)) {
                return Ok(Found::default());
            }
            let end = if dev { "~dev" } else { "" };
            let address = template.replace("%package%", &format!("{name}{end}"));
            let file = self.file(repository, &address, freshness).await?;
            // A file that a server sends for every name says nothing of this one.
            let named = file.filter(|file| file.metadata.packages.contains_key(name));
            return Ok(Found {
                files: named.into_iter().collect(),
                is_mixed: false,
            });
        }
        if let Some(found) = self.included(repository, root, name, common).await? {
            return Ok(found);
        }
        // Satis names files by their content, so each build brings others and takes away the old ones.
        let root = self.root(repository, Freshness::Now).await?;
        let found = self.included(repository, root, name, common).await?;
        found.ok_or(UpstreamError::NoRepository(
            "a file that it includes is missing",
        ))
    }

    /// Looks for a package in a file and in those that it includes; `None` if one of these is missing,
    /// which may be the one that has it.
    async fn included(
        &self,
        repository: &Repository,
        root: Arc<Loaded>,
        name: &str,
        freshness: Freshness,
    ) -> Result<Option<Found>, UpstreamError> {
        let mut files = Vec::new();
        let mut queue = vec![root];
        // A file may include one that is included already, or itself.
        let mut included = BTreeSet::from(["packages.json".to_owned()]);
        while let Some(file) = queue.pop() {
            for address in &file.metadata.includes {
                if !included.insert(address.trim_start_matches('/').to_owned()) {
                    continue;
                }
                if included.len() > MAX_INCLUDES {
                    return Err(UpstreamError::NoRepository("it includes too many files"));
                }
                // Composer reads them below the base, wherever the file that names them is.
                match self.file(repository, address, freshness).await? {
                    Some(file) => queue.push(file),
                    None => return Ok(None),
                }
            }
            if file.metadata.packages.contains_key(name) {
                files.push(file);
            }
        }
        Ok(Some(Found {
            files,
            is_mixed: true,
        }))
    }

    /// Asks the repository whether it is there, and for its `packages.json`.
    ///
    /// # Errors
    /// When it does not answer, or not in Composer's words.
    pub async fn check(&self, repository: &Repository) -> Result<(), UpstreamError> {
        self.root(repository, Freshness::Now).await.map(drop)
    }

    /// Keeps those of some packages that the repository has, as far as it lists its own.
    ///
    /// # Errors
    /// When the repository does not answer, or not in Composer's words, and nothing is known of it.
    pub async fn available(
        &self,
        repository: &Repository,
        mut packages: BTreeSet<&str>,
    ) -> Result<BTreeSet<String>, UpstreamError> {
        let root = self.root(repository, Freshness::Cached).await?;
        if let Some(listed) = &root.metadata.available {
            let inline = &root.metadata.packages;
            packages.retain(|it| listed.contains(*it) || inline.contains_key(*it));
        }
        Ok(packages.into_iter().map(str::to_owned).collect())
    }

    async fn root(
        &self,
        repository: &Repository,
        freshness: Freshness,
    ) -> Result<Arc<Loaded>, UpstreamError> {
        let root = self.file(repository, "packages.json", freshness).await?;
        let root = root.ok_or(UpstreamError::NoRepository("it has no packages.json"))?;
        if root.metadata.is_of_composer_1 {
            return Err(UpstreamError::NoRepository(
                "its packages.json lists packages in the form of Composer 1 alone (provider-includes, \
                 providers-url or providers-lazy-url, and no metadata-url)",
            ));
        }
        Ok(root)
    }

    /// Returns a file; `None` if there is none.
    async fn file(
        &self,
        repository: &Repository,
        address: &str,
        freshness: Freshness,
    ) -> Result<Option<Arc<Loaded>>, UpstreamError> {
        let resolved = repository.location.resolve_metadata(address).await;
        let Some((target, found)) = resolved else {
            return Ok(None);
        };
        // A file in a folder is looked at each time: that tells at once whether it has changed.
        let is_remote = matches!(target, Target::Remote { .. });
        let place = self.cache.place(key(repository, &target));
        let state = place.get();
        let mark = found.and_then(|found| Mark::of_file(&found).ok());
        if let Some(kept) = state
            .kept
            .as_ref()
            .filter(|kept| mark.as_ref() == Some(&kept.mark))
        {
            return Ok(kept.loaded.clone());
        }
        if let Some(kept) = state.settled(freshness).filter(|_| is_remote) {
            return Ok(kept.loaded.clone());
        }
        // Whoever may use what is known does not wait for somebody else, nor long for an answer.
        let is_enough = is_remote && freshness == Freshness::Cached && state.kept.is_some();
        let asking = Arc::clone(&place.asking);
        let asking = if is_enough {
            asking.try_lock_owned().ok()
        } else {
            timeout(LONGEST_WAIT, asking.lock_owned()).await.ok()
        };
        let Some(asking) = asking else {
            return given_up(&place, address, freshness);
        };
        // Whoever had the lock may have read it.
        let state = place.get();
        if let Some(kept) = state.settled(freshness).filter(|_| is_remote) {
            return Ok(kept.loaded.clone());
        }
        if state.has_failed(freshness) && is_remote {
            return given_up(&place, address, freshness);
        }
        let wanted = Wanted {
            repository: repository.clone(),
            target,
            address: address.to_owned(),
        };
        let (upstream, its_place) = (self.clone(), Arc::clone(&place));
        let read = async move {
            let read = upstream.read_anew(&wanted, &its_place, freshness).await;
            drop(asking);
            read
        };
        // The caller may hang up; what became of the read is noted all the same.
        let read = request_context::detach(read);
        let done = if is_enough {
            let Ok(done) = timeout(LONGEST_WAIT, read).await else {
                return given_up(&place, address, freshness);
            };
            done
        } else {
            read.await
        };
        done.unwrap_or(Err(UpstreamError::Stopped))
    }

    /// Reads a file, and keeps what became of it.
    async fn read_anew(
        &self,
        wanted: &Wanted,
        place: &Place,
        freshness: Freshness,
    ) -> Result<Option<Arc<Loaded>>, UpstreamError> {
        let before = place.get().kept;
        match (self.read(wanted, before.as_ref()).await, before) {
            (Ok(Some((kept, weight))), _) => {
                let loaded = kept.loaded.clone();
                place.put(State {
                    kept: Some(kept),
                    failed: None,
                });
                let key = key(&wanted.repository, &wanted.target);
                self.cache.weigh(&key, key.len() + weight);
                Ok(loaded)
            }
            (Ok(None), before) => {
                let asked = Instant::now();
                let kept = before.map(|before| Kept { asked, ..before });
                let loaded = kept.as_ref().and_then(|kept| kept.loaded.clone());
                place.put(State { kept, failed: None });
                Ok(loaded)
            }
            (Err(error), kept) => {
                let known = kept.as_ref().map(|kept| kept.loaded.clone());
                place.put(State {
                    kept,
                    failed: Some(Instant::now()),
                });
                let Some(loaded) = known.filter(|_| freshness != Freshness::Now) else {
                    return Err(error);
                };
                tracing::warn!(
                    error = chain(&error),
                    "a Composer repository does not answer; what is known of it stays in use"
                );
                Ok(loaded)
            }
        }
    }

    /// Reads a file, with what it weighs; `None` if it has not changed.
    async fn read(
        &self,
        wanted: &Wanted,
        kept: Option<&Kept>,
    ) -> Result<Option<(Kept, usize)>, UpstreamError> {
        let known = kept.filter(|kept| kept.loaded.is_some());
        let known = known.map(|kept| &kept.mark);
        let address = wanted.address.as_str();
        let answer = match &wanted.target {
            Target::File { path, .. } => fetch::read_file(path, address, known).await,
            Target::Remote { url, is_own, .. } => {
                let token = wanted.repository.token.as_ref().filter(|_| *is_own);
                self.fetcher.metadata(url, token, address, known).await
            }
        };
        let (loaded, mark, weight) = match answer? {
            Change::Unchanged => return Ok(None),
            Change::Absent => (None, Mark::default(), 0),
            Change::New(bytes, mark) => {
                let size = bytes.len();
                let loaded = parsed(bytes, address).await?;
                let weight = size + loaded.metadata.overhead();
                (Some(Arc::new(loaded)), mark, weight)
            }
        };
        let asked = Instant::now();
        let kept = Kept {
            loaded,
            mark,
            asked,
        };
        Ok(Some((kept, weight)))
    }

    /// Asks for an archive at a URL; the answer may be any.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn archive(
        &self,
        repository: &Repository,
        (url, is_own): (&Url, bool),
        method: Method,
        headers: HeaderMap,
    ) -> Result<Response, UpstreamError> {
        let token = repository.token.as_ref().filter(|_| is_own);
        self.fetcher.archive(url, token, method, headers).await
    }
}

/// A file of a repository.
struct Wanted {
    repository: Repository,
    target: Target,
    /// How the repository names it.
    address: String,
}

/// The files that have a package.
#[derive(Debug, Default)]
pub struct Found {
    /// The files; none if the repository does not have the package.
    pub files: Vec<Arc<Loaded>>,
    /// True if they hold branches and released versions alike.
    pub is_mixed: bool,
}

impl Found {
    /// Returns what each file says of a package.
    pub fn of(&self, package: &str) -> impl Iterator<Item = &Package> {
        let files = self.files.iter();
        files.filter_map(|file| file.metadata.packages.get(package))
    }

    /// Counts the versions of a package.
    pub fn versions(&self, package: &str) -> usize {
        self.of(package).map(|package| package.versions.len()).sum()
    }
}

/// Two repositories never share what is kept, nor do two tokens.
fn key(repository: &Repository, target: &Target) -> String {
    match target {
        Target::File { path, .. } => path.display().to_string(),
        Target::Remote { url, is_own, .. } => {
            let token = repository.token.as_ref().filter(|_| *is_own);
            let token = token.map(|token| TokenHash::of(token.expose_secret()));
            let token = token.map(|token| hex::encode(token.as_bytes()));
            format!("{} {url}", token.unwrap_or_default())
        }
    }
}

/// Reads a file's content where it holds up nobody.
async fn parsed(bytes: Vec<u8>, name: &str) -> Result<Loaded, UpstreamError> {
    let read = move || {
        let metadata = metadata::read(&bytes)?;
        Ok(Loaded::new(metadata, Sha256::digest(&bytes).into()))
    };
    let read = request_context::spawn_blocking(read).await;
    let read = read.map_err(|_| UpstreamError::Stopped)?;
    read.map_err(|source| UpstreamError::Malformed {
        name: name.to_owned(),
        source,
    })
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
