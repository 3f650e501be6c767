//! Fetches metadata and archives of repositories.
//!
//! A file in a folder is read again when its time or size changes. What came by HTTP is good for
//! [`FRESH_FOR`], then the repository is asked whether it has changed. While it does not answer, what
//! is known stays in use: what a customer may have is decided here, whatever the age of the list.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, Response, Url};
use secrecy::ExposeSecret;

use super::cache::Cache;
pub use super::fetch::UpstreamError;
use super::fetch::{self, Change, Fetcher, Mark};
use super::location::{Repository, Target};
use super::metadata::{self, Metadata};
use crate::causes::chain;
use crate::domain::access::token::TokenHash;
use crate::domain::id::AppSlug;

/// How long metadata that came by HTTP is used without asking again.
pub const FRESH_FOR: Duration = Duration::from_secs(30);
/// The same where something is missing from it, which may be newer.
const RECENT_FOR: Duration = Duration::from_secs(2);

/// What all kept files may weigh together, in bytes of their text.
const CACHE: usize = 128 << 20;
/// Most files that one `packages.json` may include.
const MAX_INCLUDES: usize = 100;

/// How new metadata must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// The repository is asked, and must answer.
    Now,
    /// Only what was read just now may be used; unless the repository does not answer.
    Recent,
    /// What is known may be used for a while.
    Cached,
}

impl Freshness {
    fn accepts(self, kept: &Kept) -> bool {
        let limit = match self {
            Self::Cached => FRESH_FOR,
            Self::Recent => RECENT_FOR,
            Self::Now => return false,
        };
        kept.asked.elapsed() < limit
    }
}

/// A file that was read.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub metadata: Metadata,
    /// The apps and packages whose releases in it are recorded.
    recorded: Mutex<BTreeSet<(AppSlug, String)>>,
}

impl Loaded {
    /// True if an app has recorded the releases of a package since the file was read.
    pub fn is_recorded(&self, app: &AppSlug, package: &str) -> bool {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.contains(&(app.clone(), package.to_owned()))
    }

    /// Notes that an app has recorded the releases of a package.
    pub fn set_recorded(&self, app: &AppSlug, package: &str) {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.insert((app.clone(), package.to_owned()));
    }
}

/// What is kept of a file.
struct Kept {
    /// `None`: there is no such file.
    loaded: Option<Arc<Loaded>>,
    mark: Mark,
    /// When the repository was asked last.
    asked: Instant,
}

/// Reads repositories. Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct Upstream {
    fetcher: Fetcher,
    cache: Arc<Cache<Kept>>,
}

impl Upstream {
    /// Makes one that knows nothing yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> reqwest::Result<Self> {
        Ok(Self {
            fetcher: Fetcher::new()?,
            cache: Arc::new(Cache::new(CACHE)),
        })
    }

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
            return Ok(Found {
                files: file.into_iter().collect(),
                is_mixed: false,
            });
        }
        let mut files = Vec::new();
        let mut queue = vec![root];
        let mut included = 0;
        while let Some(file) = queue.pop() {
            for address in &file.metadata.includes {
                included += 1;
                if included > MAX_INCLUDES {
                    return Err(UpstreamError::NoRepository("it includes too many files"));
                }
                // Composer reads them below the base, wherever the file that names them is.
                let file = self.file(repository, address, common).await?;
                queue.extend(file);
            }
            if file.metadata.packages.contains_key(name) {
                files.push(file);
            }
        }
        Ok(Found {
            files,
            is_mixed: true,
        })
    }

    /// Asks the repository whether it is there, and for its `packages.json`.
    ///
    /// # Errors
    /// When it does not answer, or not in Composer's words.
    pub async fn check(&self, repository: &Repository) -> Result<(), UpstreamError> {
        self.root(repository, Freshness::Now).await.map(drop)
    }

    /// Returns the names of all packages, if the repository lists them.
    ///
    /// # Errors
    /// When the repository does not answer, or not in Composer's words, and nothing is known of it.
    pub async fn available(
        &self,
        repository: &Repository,
    ) -> Result<Option<BTreeSet<String>>, UpstreamError> {
        let root = self.root(repository, Freshness::Cached).await?;
        let listed = root.metadata.available.as_ref();
        Ok(listed.map(|listed| {
            let inline = root.metadata.packages.keys();
            listed.iter().chain(inline).cloned().collect()
        }))
    }

    async fn root(
        &self,
        repository: &Repository,
        freshness: Freshness,
    ) -> Result<Arc<Loaded>, UpstreamError> {
        let root = self.file(repository, "packages.json", freshness).await?;
        root.ok_or(UpstreamError::NoRepository("it has no packages.json"))
    }

    /// Returns a file; `None` if there is none.
    async fn file(
        &self,
        repository: &Repository,
        address: &str,
        freshness: Freshness,
    ) -> Result<Option<Arc<Loaded>>, UpstreamError> {
        let Some(target) = repository.location.resolve_metadata(address).await else {
            return Ok(None);
        };
        let key = key(repository, &target);
        let slot = self.cache.slot(&key);
        let mut kept = slot.lock().await;
        let known = kept.as_ref().filter(|kept| kept.loaded.is_some());
        let known = known.map(|kept| kept.mark.clone());
        let known = known.as_ref();
        let answer = match &target {
            Target::File { path, .. } => fetch::read_file(path, address, known).await,
            Target::Remote { url, is_own, .. } => {
                if let Some(kept) = kept.as_ref().filter(|kept| freshness.accepts(kept)) {
                    return Ok(kept.loaded.clone());
                }
                let token = repository.token.as_ref().filter(|_| *is_own);
                self.fetcher.metadata(url, token, address, known).await
            }
        };
        let read = match answer {
            Ok(Change::Unchanged) => Ok(None),
            Ok(Change::Absent) => Ok(Some((None, Mark::default(), 0))),
            Ok(Change::New(bytes, mark)) => {
                let weight = bytes.len();
                let loaded = parsed(bytes, address).await;
                loaded.map(|loaded| Some((Some(Arc::new(loaded)), mark, weight)))
            }
            Err(error) => Err(error),
        };
        match (read, kept.take()) {
            (Ok(Some((loaded, mark, weight))), _) => {
                let asked = Instant::now();
                *kept = Some(Kept {
                    loaded: loaded.clone(),
                    mark,
                    asked,
                });
                self.cache.weigh(&key, weight);
                Ok(loaded)
            }
            (Ok(None), before) => {
                let asked = Instant::now();
                *kept = before.map(|before| Kept { asked, ..before });
                Ok(kept.as_ref().and_then(|kept| kept.loaded.clone()))
            }
            (Err(error), Some(before)) => {
                let loaded = before.loaded.clone();
                let asked = Instant::now();
                *kept = Some(Kept { asked, ..before });
                if freshness == Freshness::Now {
                    return Err(error);
                }
                tracing::warn!(
                    error = chain(&error),
                    "a Composer repository does not answer; what is known of it stays in use"
                );
                Ok(loaded)
            }
            (Err(error), None) => Err(error),
        }
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

/// The files that have a package.
#[derive(Debug, Default)]
pub struct Found {
    /// The files; none if the repository does not have the package.
    pub files: Vec<Arc<Loaded>>,
    /// True if they hold branches and released versions alike.
    pub is_mixed: bool,
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
    let read = tokio::task::spawn_blocking(move || metadata::read(&bytes)).await;
    let metadata = read.map_err(|_| UpstreamError::Stopped)?;
    let metadata = metadata.map_err(|source| UpstreamError::Malformed {
        name: name.to_owned(),
        source,
    })?;
    Ok(Loaded {
        metadata,
        recorded: Mutex::default(),
    })
}
