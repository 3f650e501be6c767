//! Looks up together what is asked at the same time.
//!
//! A question that comes while nothing is being looked up goes at once, alone. Those that come while
//! the store is busy wait for it together and go in one statement: the more is asked, the less each
//! question costs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use crate::composer::released::Releases;
use crate::domain::access::released::Released;
use crate::domain::access::versions::Scheme;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::offload;
use crate::store::{PackageHolder, PackageQuestion, Store, StoreError};

/// Statements at once: one is prepared or read here while the store works on the other. The store has
/// that many connections for them.
const AT_ONCE: usize = 2;

/// The most tokens of one statement: bounds what an answer takes in memory, and how long one question
/// waits for those beside it.
const MOST: usize = 64;

/// The holder of a token, and when the versions of the package came out, where that matters.
pub(super) type LookedUp = (PackageHolder, Arc<Released>);

type Found = Result<Option<LookedUp>, StoreError>;

struct Waiting {
    question: PackageQuestion,
    now: Timestamp,
    answer: oneshot::Sender<Found>,
}

/// The questions that wait. Cheap to clone; all clones wait together.
#[derive(Clone)]
pub(super) struct LookUps(Arc<Shared>);

struct Shared {
    store: Store,
    releases: Releases,
    waiting: Mutex<Vec<Waiting>>,
    at_once: Semaphore,
}

impl LookUps {
    pub(super) fn new(store: Store, releases: Releases) -> Self {
        Self(Arc::new(Shared {
            store,
            releases,
            waiting: Mutex::default(),
            at_once: Semaphore::new(AT_ONCE),
        }))
    }

    /// Finds the holder of a token, and what decides about a package; `None` if nobody has the token.
    pub(super) async fn find(&self, question: PackageQuestion, now: Timestamp) -> Found {
        let (answer, found) = oneshot::channel();
        self.0.with(|waiting| {
            waiting.push(Waiting {
                question,
                now,
                answer,
            });
        });
        if self.0.at_once.available_permits() > 0 {
            // Tasks of their own, because whoever asks may go away, and others wait for the same.
            tokio::spawn(Arc::clone(&self.0).look_up());
        }
        // The sender is dropped only if a panic ended the task.
        found.await.unwrap_or(Err(StoreError::Panicked))
    }
}

impl Shared {
    /// Looks up what waits until nothing does, unless enough others do so.
    async fn look_up(self: Arc<Self>) {
        while self.with(|waiting| !waiting.is_empty()) {
            let Ok(_permit) = self.at_once.try_acquire() else {
                // Whoever has the permits looks again after giving one back.
                return;
            };
            let batch: Vec<Waiting> =
                self.with(|waiting| waiting.drain(..waiting.len().min(MOST)).collect());
            self.answer(batch).await;
        }
    }

    async fn answer(&self, mut batch: Vec<Waiting>) {
        // Whoever went away needs no answer.
        batch.retain(|it| !it.answer.is_closed());
        let questions: Vec<PackageQuestion> = batch.iter().map(|it| it.question.clone()).collect();
        let Some(now) = batch.iter().map(|it| it.now).max() else {
            return;
        };
        match self.look_up_all(&questions, now).await {
            Ok(found) => {
                for (waiting, found) in batch.into_iter().zip(found) {
                    let _ = waiting.answer.send(found);
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for waiting in batch {
                    let shared = StoreError::Shared(Arc::clone(&error));
                    let _ = waiting.answer.send(Err(shared));
                }
            }
        }
    }

    async fn look_up_all(
        &self,
        questions: &[PackageQuestion],
        now: Timestamp,
    ) -> Result<Vec<Found>, StoreError> {
        let found = self.store.access_look_up(questions).await?;
        let mut dated: BTreeMap<(AppSlug, String), Scheme> = BTreeMap::new();
        for (asked, found) in questions.iter().zip(&found) {
            if let Ok(Some(it)) = found
                && it.needs_releases(&asked.package, now)
            {
                let key = (it.holder.app.clone(), asked.package.clone());
                dated.insert(key, it.scheme);
            }
        }
        let released = self.released(&dated).await?;
        let pairs = found.into_iter().zip(questions);
        Ok(pairs
            .map(|(found, asked)| {
                let Some(found) = found? else { return Ok(None) };
                let key = (found.holder.app.clone(), asked.package.clone());
                let released = released.get(&key).map(Arc::clone).unwrap_or_default();
                Ok(Some((found, released)))
            })
            .collect())
    }

    /// Reads when the versions of packages came out. Mostly they are the same as the last time, which the store
    /// says in a row for each.
    async fn released(
        &self,
        packages: &BTreeMap<(AppSlug, String), Scheme>,
    ) -> Result<BTreeMap<(AppSlug, String), Arc<Released>>, StoreError> {
        let wanted: BTreeSet<(AppSlug, String)> = packages.keys().cloned().collect();
        let (mut released, mut changed) = (BTreeMap::new(), BTreeMap::new());
        for (key, mark) in self.store.release_marks(&wanted).await? {
            let scheme = packages.get(&key).copied().unwrap_or_default();
            match self.releases.get(&key.0, &key.1, scheme, mark) {
                Some(known) => drop(released.insert(key, known)),
                None => drop(changed.insert(key, (scheme, mark))),
            }
        }
        let wanted: BTreeSet<(AppSlug, String)> = changed.keys().cloned().collect();
        let mut listed = self.store.releases_of(&wanted).await?;
        for (key, (scheme, mark)) in changed {
            let listed = listed.remove(&key).unwrap_or_default();
            let (name, number) = (key.1.clone(), listed.len());
            let read = move || Arc::new(Released::of(scheme, &name, &listed));
            let read = offload::run(number, read).await;
            let kept = Arc::clone(&read);
            self.releases.put(&key.0, &key.1, scheme, mark, kept);
            released.insert(key, read);
        }
        Ok(released)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Waiting>) -> T) -> T {
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
