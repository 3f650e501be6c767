//! Questions that are asked by one at a time and never waited for longer than their limit.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

/// The longest wait for an answer. Monitoring systems wait ten seconds; with what else a scrape
/// costs, this stays far below one.
const LONGEST_WAIT: Duration = Duration::from_millis(700);

/// A question, and its last answer. Asked in a task of its own, so that one that hangs keeps nobody
/// longer than the limit, and keeps others from asking it again.
pub(super) struct Asked<T> {
    last: Mutex<Option<watch::Receiver<Answer<T>>>>,
    /// How long an answer counts.
    fresh: Duration,
}

#[derive(Clone)]
enum Answer<T> {
    Pending,
    Given(Instant, Option<T>),
}

impl<T> Answer<T> {
    const fn is_given(&self) -> bool {
        matches!(self, Self::Given(..))
    }
}

impl<T: Clone + Send + Sync + 'static> Asked<T> {
    pub(super) fn new(fresh: Duration) -> Self {
        Self {
            last: Mutex::default(),
            fresh,
        }
    }

    /// Returns the answer; `None` if there is none in time.
    pub(super) async fn answer<F>(&self, ask: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = Option<T>> + Send + 'static,
    {
        let mut answer = self.last_or_next(ask);
        let given = timeout(LONGEST_WAIT, answer.wait_for(Answer::is_given)).await;
        match &*given.ok()?.ok()? {
            Answer::Given(_, value) => value.clone(),
            Answer::Pending => None,
        }
    }

    fn last_or_next<F>(&self, ask: impl FnOnce() -> F) -> watch::Receiver<Answer<T>>
    where
        F: Future<Output = Option<T>> + Send + 'static,
    {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last {
            let counts = match &*last.borrow() {
                // A task that panicked has dropped its side.
                Answer::Pending => last.has_changed().is_ok(),
                Answer::Given(at, _) => at.elapsed() < self.fresh,
            };
            if counts {
                return last.clone();
            }
        }
        let (give, answer) = watch::channel(Answer::Pending);
        *last = Some(answer.clone());
        let asking = ask();
        tokio::spawn(async move {
            let value = asking.await;
            give.send_replace(Answer::Given(Instant::now(), value));
        });
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_question_that_hangs_is_asked_once_and_waited_for_in_vain() {
        let asked = Asked::<u32>::new(Duration::from_secs(1));
        let count = Arc::new(AtomicU32::new(0));
        for _ in 0..2 {
            let count = Arc::clone(&count);
            let ask = || async move {
                count.fetch_add(1, Ordering::Relaxed);
                pending().await
            };
            assert_eq!(asked.answer(ask).await, None);
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_answer_counts_for_its_time_and_a_panic_not_at_all() {
        let asked = Asked::<u32>::new(Duration::ZERO);
        let broken = || async { panic!("a defect") };
        assert_eq!(asked.answer(broken).await, None);
        assert_eq!(asked.answer(|| async { Some(1) }).await, Some(1));
        assert_eq!(asked.answer(|| async { Some(2) }).await, Some(2));
        let lasting = Asked::<u32>::new(Duration::from_hours(1));
        assert_eq!(lasting.answer(|| async { Some(1) }).await, Some(1));
        assert_eq!(lasting.answer(|| async { Some(2) }).await, Some(1));
    }
}
