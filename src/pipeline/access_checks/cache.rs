//! Keeps for a moment what is known about tokens.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashlink::LruCache;

use super::cached_access::CachedAccess;
use crate::domain::access::token::TokenHash;
use crate::domain::time::Timestamp;
use crate::store::PackageQuestion;

/// How long an answer is kept, from before the store was asked. Less than the second that users are
/// promised, so that the answer also reaches them within it.
const FRESH: Duration = Duration::from_millis(900);

/// The most answers that are kept, each of a token and a package. Each takes one to two KiB, and some hundred
/// bytes more for each release.
const MOST: usize = 4_096;

/// A package of which more releases decide is not kept, so all answers together take some 20 MiB at the most.
const MOST_RELEASES: usize = 32;

/// Locks, so that processors do not wait for each other.
const SHARDS: usize = 16;

/// What is known, by token and package. The least recently used go first.
pub(super) struct Cache {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

type Shard = LruCache<PackageQuestion, Arc<CachedAccess>>;

impl Default for Cache {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS)
                .map(|_| Mutex::new(LruCache::new(MOST / SHARDS)))
                .collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Cache {
    /// Returns what is known, if it is still good at this moment.
    pub(super) fn get(
        &self,
        asked: &PackageQuestion,
        changes: u64,
        now: Timestamp,
    ) -> Option<Arc<CachedAccess>> {
        let known = self.with(&asked.token, |shard| shard.get(asked).cloned())?;
        let read_at = known.read_at;
        let is_fresh = read_at.began.elapsed() < FRESH
            // The clock may have been set, in either direction.
            && (read_at.now..read_at.now.plus(FRESH)).contains(&now)
            && known.ends_at.is_none_or(|end| now < end);
        (is_fresh && read_at.changes == changes).then_some(known)
    }

    /// Keeps what is known, unless it is large.
    pub(super) fn put(&self, asked: PackageQuestion, known: Arc<CachedAccess>) {
        if known.releases <= MOST_RELEASES {
            let token = asked.token;
            self.with(&token, |shard| shard.insert(asked, known));
        }
    }

    fn with<T>(&self, token: &TokenHash, work: impl FnOnce(&mut Shard) -> T) -> T {
        let shard = self.hasher.hash_one(token);
        let shard = usize::try_from(shard % SHARDS as u64).unwrap_or_default();
        let mut shard = self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&mut shard)
    }
}
