//! Whether the store takes writes, without a write for every question.
//!
//! While this process writes, its own commits are the answer, and nothing is tried. After a quiet
//! time, or a failure, the next question has a small write tried: one at a time, in a task of its own,
//! so that a store that hangs keeps one trial waiting and every question has its answer in time.
//! Refused: a read. It succeeds on a full disk, on a standby, and while somebody holds the lock of
//! all writers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::fault::Fault;
use crate::clock::Clock;
use crate::store::{Store, Trial, Trouble};

/// How long a write counts. Whoever asks once a second causes at most one write in this time.
const FRESH: Duration = Duration::from_secs(2);

/// How long a failed trial counts.
const REST: Duration = Duration::from_millis(500);

/// The verdict of a trial, once it has one.
type Verdict = Option<Result<(), Option<Trouble>>>;

/// Tries writes.
pub(super) struct Trials {
    store: Store,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<Begun>>,
}

/// The last trial.
struct Begun {
    verdict: watch::Receiver<Verdict>,
    /// The end, if it has ended.
    ended: Arc<Mutex<Option<Instant>>>,
}

impl Trials {
    pub(super) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            last: Mutex::default(),
        }
    }

    /// Fails if the store does not take writes now. Waits at most `limit`.
    pub(super) async fn check(&self, limit: Duration) -> Result<(), Fault> {
        let writes = self.store.last_writes();
        let failure = writes.unrefuted_failure();
        let fresh = writes.succeeded.is_some_and(|at| at.elapsed() < FRESH);
        if fresh && failure.is_none() {
            return Ok(());
        }
        let trial = match failure {
            Some(_) => Trial::Large,
            None => Trial::Small,
        };
        let mut verdict = self.begin(trial);
        let decided = tokio::time::timeout(limit, verdict.wait_for(Option::is_some)).await;
        match decided {
            Ok(Ok(verdict)) => match *verdict {
                Some(Ok(())) => Ok(()),
                Some(Err(Some(trouble))) => Err(trouble.into()),
                Some(Err(None)) | None => Err(Trouble::Broken.into()),
            },
            Ok(Err(_ended)) => Err(Trouble::Broken.into()),
            Err(_elapsed) => Err(Fault::new(
                "store_no_answer",
                "the store did not take a small write in time",
            )),
        }
    }

    /// Returns the verdict to come of the trial that is under way, the one of a trial that failed
    /// just now, or that of a new one.
    fn begin(&self, trial: Trial) -> watch::Receiver<Verdict> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = &*last {
            let ended = *begun.ended.lock().unwrap_or_else(PoisonError::into_inner);
            if ended.is_none_or(|at| at.elapsed() < REST) {
                return begun.verdict.clone();
            }
        }
        let (decide, verdict) = watch::channel(None);
        let ended = Arc::new(Mutex::new(None));
        *last = Some(Begun {
            verdict: verdict.clone(),
            ended: Arc::clone(&ended),
        });
        drop(last);
        let end = SetAtEnd(ended);
        let (store, now) = (self.store.clone(), self.clock.now());
        tokio::spawn(async move {
            let _end = end;
            let tried = store.try_write(trial, now).await;
            decide.send_replace(Some(tried.map_err(|error| error.trouble())));
        });
        verdict
    }
}

/// Notes the end of a trial, however it ends.
struct SetAtEnd(Arc<Mutex<Option<Instant>>>);

impl Drop for SetAtEnd {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}
