//! How long what was read of a repository is good.
//!
//! What came by HTTP is good for [`FRESH_FOR`], then the repository is asked whether it has changed.
//! While it does not answer, what is known stays in use: what a customer may have is decided here,
//! whatever the age of the list. A failure counts for [`FAILED_FOR`], so that a server that is away
//! costs one of many the wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::fetch::{Mark, UpstreamError};
use super::metadata::Metadata;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;

/// How long metadata that came by HTTP is used without asking again.
const FRESH_FOR: Duration = Duration::from_secs(30);
/// The same where something is missing from it, which may be newer.
const RECENT_FOR: Duration = Duration::from_secs(2);
/// How long nobody asks again for a file that could not be had.
const FAILED_FOR: Duration = Duration::from_secs(5);

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
    /// The SHA-256 of its bytes.
    pub(super) digest: [u8; 32],
    /// The apps and packages whose versions in it are recorded.
    recorded: Mutex<BTreeMap<(AppSlug, String), Recorded>>,
}

/// When versions of a file were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The local clock when they were recorded, or seen to be recorded still.
    pub at: Timestamp,
    /// What stood for the recorded releases of the package before that; `None` if there were none.
    pub mark: Option<Timestamp>,
}

impl Loaded {
    /// A file that says this.
    pub(super) fn new(metadata: Metadata, digest: [u8; 32]) -> Self {
        Self {
            metadata,
            digest,
            recorded: Mutex::default(),
        }
    }

    /// Returns when an app recorded the versions of a package, if it has since the file was read.
    pub fn recorded(&self, app: &AppSlug, package: &str) -> Option<Recorded> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.get(&(app.clone(), package.to_owned())).copied()
    }

    /// Notes that an app has recorded the versions of a package.
    pub fn set_recorded(&self, app: &AppSlug, package: &str, what: Recorded) {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.insert((app.clone(), package.to_owned()), what);
    }
}

/// The place of one file.
#[derive(Default)]
pub(super) struct Place {
    /// Held by whoever reads the file, so that many who ask at once make one request.
    pub(super) asking: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

impl Place {
    /// Returns what is kept, also while somebody reads the file.
    pub(super) fn get(&self) -> State {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }

    /// Keeps something else.
    pub(super) fn put(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// What is kept of a file.
#[derive(Clone, Default)]
pub(super) struct State {
    /// What was read last.
    pub(super) kept: Option<Kept>,
    /// When it could not be had, if nothing was read since.
    pub(super) failed: Option<Instant>,
}

impl State {
    /// Returns what is good enough without asking.
    pub(super) fn settled(&self, freshness: Freshness) -> Option<&Kept> {
        let is_good = |kept: &&Kept| freshness.accepts(kept) || self.has_failed(freshness);
        self.kept.as_ref().filter(is_good)
    }

    /// True if asking again would most likely fail again.
    pub(super) fn has_failed(&self, freshness: Freshness) -> bool {
        let failed = self.failed.is_some_and(|at| at.elapsed() < FAILED_FOR);
        failed && freshness != Freshness::Now
    }
}

/// What was read of a file.
#[derive(Clone)]
pub(super) struct Kept {
    /// `None`: there is no such file.
    pub(super) loaded: Option<Arc<Loaded>>,
    pub(super) mark: Mark,
    /// When the repository said so last, or that it has not changed.
    pub(super) asked: Instant,
}

/// Returns what is known of a file that cannot be had now.
pub(super) fn given_up(
    place: &Place,
    address: &str,
    freshness: Freshness,
) -> Result<Option<Arc<Loaded>>, UpstreamError> {
    let known = place.get().kept.filter(|_| freshness != Freshness::Now);
    let away = || UpstreamError::Away {
        name: address.to_owned(),
    };
    known.map(|kept| kept.loaded).ok_or_else(away)
}
