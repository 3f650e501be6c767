//! Looks up together what is asked at the same time.
//!
//! A question that comes while nothing is being looked up goes at once, alone. Those that come while
//! the store is busy wait for it together and go in one statement: the more is asked, the less each
//! question costs. Where the store is near, a second statement goes beside the first one only when
//! it is worth its cost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::composer::released::Releases;
use crate::domain::access::released::Released;
use crate::domain::access::versions::Scheme;
use crate::domain::time::Timestamp;
use crate::pipeline::released::{self, Package};
use crate::store::{PackageHolder, PackageQuestion, Store, StoreError};

/// Statements at once: one is prepared or read here while the store works on the other. The store has
/// that many connections for them.
const AT_ONCE: usize = 2;

/// The fewest tokens of a statement that goes while another one is under way, where the store is near. A statement
/// costs as much as to look up eight tokens, so with fewer it is better to wait for the other one. With 64
/// connections, a sixth more is answered than if whatever waits went at once.
const WORTH_ANOTHER: usize = 16;

/// The longest answer of a store that is near, when it has nothing else to do. One that is further away takes
/// most of that time to be reached, and whoever waited for it would wait twice.
const NEAR: Duration = Duration::from_millis(1);

/// By how much the shortest time of an answer is taken to be longer after each answer, so that it becomes known if
/// the store has moved away.
const FORGOTTEN: Duration = Duration::from_micros(50);

/// The most tokens of one statement: bounds what an answer takes in memory, and how long one question
/// waits for those beside it.
const MOST: usize = 64;

/// The holder of a token, and when the versions of the package came out, where that matters.
/// In a box, because it is large and handed from task to task.
pub(super) type LookedUp = (Box<PackageHolder>, Arc<Released>);

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
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// The number of statements that the store is being asked.
    under_way: usize,
    /// About the shortest time of the last answers.
    shortest: Duration,
}

impl Queue {
    /// Reports whether a statement should go now.
    fn is_ready(&self) -> bool {
        let can_wait = self.under_way > 0 && self.shortest <= NEAR;
        let enough = if can_wait { WORTH_ANOTHER } else { 1 };
        self.under_way < AT_ONCE && self.waiting.len() >= enough
    }

    fn answered(&mut self, took: Duration) {
        self.under_way -= 1;
        self.shortest = took.min(self.shortest + FORGOTTEN);
    }
}

/// A statement under way. Dropped when it was answered, or when a panic ended its task.
struct UnderWay<'a> {
    of: &'a Shared,
    since: Instant,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let took = self.since.elapsed();
        self.of.with(|queue| queue.answered(took));
    }
}

impl LookUps {
    pub(super) fn new(store: Store, releases: Releases) -> Self {
        Self(Arc::new(Shared {
            store,
            releases,
            queue: Mutex::default(),
        }))
    }

    /// Finds the holder of a token, and what decides about a package; `None` if nobody has the token.
    pub(super) async fn find(&self, question: PackageQuestion, now: Timestamp) -> Found {
        let (answer, found) = oneshot::channel();
        let is_ready = self.0.with(|queue| {
            queue.waiting.push(Waiting {
                question,
                now,
                answer,
            });
            queue.is_ready()
        });
        if is_ready {
            // Tasks of their own, because whoever asks may go away, and others wait for the same.
            tokio::spawn(Arc::clone(&self.0).look_up());
        }
        // The sender is dropped only if a panic ended the task.
        found.await.unwrap_or(Err(StoreError::Panicked))
    }
}

impl Shared {
    /// Looks up what waits until nothing does, or what does can wait for another statement.
    async fn look_up(self: Arc<Self>) {
        while let Some((under_way, batch)) = self.take() {
            self.answer(batch).await;
            drop(under_way);
        }
    }

    /// Takes what goes next, if a statement should go now.
    fn take(&self) -> Option<(UnderWay<'_>, Vec<Waiting>)> {
        self.with(|queue| {
            if !queue.is_ready() {
                // Whoever has a statement under way looks again when it was answered.
                return None;
            }
            queue.under_way += 1;
            let most = queue.waiting.len().min(MOST);
            let batch = queue.waiting.drain(..most).collect();
            let since = Instant::now();
            Some((UnderWay { of: self, since }, batch))
        })
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

    fn with<T>(&self, work: impl FnOnce(&mut Queue) -> T) -> T {
        work(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::token::TokenHash;

    fn queue(under_way: usize, waiting: usize, shortest: Duration) -> Queue {
        let wait = |n: usize| Waiting {
            question: PackageQuestion {
                token: TokenHash::of(&n.to_string()),
                package: "acme/tool".to_owned(),
            },
            now: Timestamp::from_nanos(0),
            answer: oneshot::channel().0,
        };
        Queue {
            waiting: (0..waiting).map(wait).collect(),
            under_way,
            shortest,
        }
    }

    #[test]
    fn one_goes_at_once_and_a_second_when_enough_wait() {
        for (under_way, waiting, is_ready) in [
            (0, 0, false),
            (0, 1, true),
            (1, 1, false),
            (1, WORTH_ANOTHER - 1, false),
            (1, WORTH_ANOTHER, true),
            (AT_ONCE, 10 * WORTH_ANOTHER, false),
        ] {
            let queue = queue(under_way, waiting, NEAR);
            assert_eq!(queue.is_ready(), is_ready, "{under_way} {waiting}");
        }
    }

    #[test]
    fn none_waits_for_a_store_that_is_far_away() {
        let mut queue = queue(1, 1, Duration::ZERO);
        let answers = |queue: &mut Queue, took: u64, count: usize| {
            for _ in 0..count {
                queue.under_way += 1;
                queue.answered(Duration::from_millis(took));
            }
        };
        // It was busy for some time.
        answers(&mut queue, 5, 10);
        assert!(!queue.is_ready());
        answers(&mut queue, 5, 40);
        assert!(queue.is_ready());
        answers(&mut queue, 0, 1);
        assert!(!queue.is_ready());
    }
}
