//! Looks up together what is asked at the same time.
//!
//! A question that comes while nothing is being looked up goes at once, alone. Those that come while
//! the store is busy wait for it together and go in one statement: the more is asked, the less each
//! question costs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use crate::composer::released::Releases;
use crate::domain::access::released::Released;
use crate::domain::access::versions::Scheme;
use crate::domain::time::Timestamp;
use crate::pipeline::released::{self, Package};
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
        let mut dated: BTreeMap<Package, Scheme> = BTreeMap::new();
        for (asked, found) in questions.iter().zip(&found) {
            if let Ok(Some(it)) = found
                && it.needs_releases(&asked.package, now)
            {
                let key = (it.holder.app.clone(), asked.package.clone());
                dated.insert(key, it.scheme);
            }
        }
        let released = released::of_packages(&self.store, &self.releases, &dated).await?;
        let released_of = |found: &PackageHolder, asked: &PackageQuestion| {
            if released.is_empty() {
                // Nearly always: nobody is frozen.
                return Arc::default();
            }
            let key = (found.holder.app.clone(), asked.package.clone());
            released.get(&key).map(Arc::clone).unwrap_or_default()
        };
        let pairs = found.into_iter().zip(questions);
        let pairs = pairs.map(|(found, asked)| {
            let found = found?.map(|found| {
                let released = released_of(&found, asked);
                (found, released)
            });
            Ok(found)
        });
        Ok(pairs.collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Waiting>) -> T) -> T {
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
