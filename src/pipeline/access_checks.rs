//! The access check of registries, for many at once.
//!
//! A registry asks for every file, so this is the question that is asked most. Two things make it
//! cheap. Questions that come while others are being looked up are looked up together, in
//! one statement. And an answer is kept for a moment, because whoever installs something asks
//! several times within a second.
//!
//! What is kept decides for less than a second after it was asked for, so a change that was committed
//! anywhere counts within a second everywhere. A change by this process counts at once: nothing that
//! was read before it is used after it. Unknown tokens are not kept.

mod cache;
mod cached_access;
mod look_ups;

use std::sync::Arc;
use std::time::Instant;

use self::cache::Cache;
use self::cached_access::{CachedAccess, ReadAt};
pub use self::cached_access::{Checked, Subject};
use self::look_ups::{LookUps, LookedUp};
use super::access::{self, AccessError, Question};
use crate::composer::released::Releases;
use crate::domain::access::check;
use crate::domain::access::token::TokenHash;
use crate::domain::time::Timestamp;
use crate::offload;
use crate::store::{PackageQuestion, Store};

/// The access check. Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct AccessChecks(Arc<Shared>);

struct Shared {
    store: Store,
    look_ups: LookUps,
    cache: Cache,
}

impl AccessChecks {
    /// Makes the access check of a process.
    pub fn new(store: Store, releases: Releases) -> Self {
        Self(Arc::new(Shared {
            look_ups: LookUps::new(store.clone(), releases),
            cache: Cache::default(),
            store,
        }))
    }

    /// Checks a token; `None` if nobody has it.
    ///
    /// # Errors
    /// When somebody has it and the question names no package, or the store failed.
    pub async fn check(
        &self,
        hash: &TokenHash,
        question: Question<'_>,
        now: Timestamp,
    ) -> Result<Option<Checked>, AccessError> {
        let shared = &*self.0;
        let package = question.package.filter(|package| !package.is_empty());
        let Some(package) = package.filter(|_| question.reference.is_none()) else {
            // An archive's reference may match several versions, so it bypasses the cache. In a box, to
            // keep the future of cache hits small.
            let answer = Box::pin(access::check(&shared.store, hash, question, now)).await?;
            return Ok(answer.and_then(Checked::of));
        };
        let asked = PackageQuestion {
            token: *hash,
            package: package.to_ascii_lowercase(),
        };
        let read_at = ReadAt {
            began: Instant::now(),
            now,
            changes: shared.store.changes(),
        };
        if let Some(known) = shared.cache.get(&asked, read_at.changes, now) {
            return Ok(Some(known.decide(
                &asked.package,
                question.version,
                question.is_of_composer,
            )));
        }
        Box::pin(self.look_up(asked, question, read_at)).await
    }

    /// Asks the store, and keeps what it says.
    async fn look_up(
        &self,
        asked: PackageQuestion,
        question: Question<'_>,
        read_at: ReadAt,
    ) -> Result<Option<Checked>, AccessError> {
        let (shared, now) = (&*self.0, read_at.now);
        let Some(found) = shared.look_ups.find(asked.clone(), now).await? else {
            return Ok(None);
        };
        let comparisons = comparisons(&found, &asked.package, question.version, now);
        let (version, is_of_composer) =
            (question.version.map(str::to_owned), question.is_of_composer);
        let package = asked.package.clone();
        let decided = move || {
            let known = CachedAccess::new(found, &package, read_at);
            let checked = known.decide(&package, version.as_deref(), is_of_composer);
            (known, checked)
        };
        let (known, checked) = offload::run(comparisons, decided).await;
        shared.cache.put(asked, Arc::new(known));
        Ok(Some(checked))
    }
}

/// Returns about how many comparisons of versions it takes to decide, for `offload`. One that is named is looked
/// up among the releases.
fn comparisons(
    (found, released): &LookedUp,
    package: &str,
    version: Option<&str>,
    now: Timestamp,
) -> usize {
    let live = found.live_grants(package, now);
    let named = version.filter(|version| !version.is_empty());
    let versions = named.map_or(released.len() + 1, |_| 1);
    check::comparisons(live.iter().map(|it| &it.grant), versions)
}
