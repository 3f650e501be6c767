//! The loops of a worker, and when each of them begins.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The time between the first looks of two loops. All at once, each would open a connection to the store
/// of its own, where one after the other they share one; and a start would take the processor from the
/// events that are under way elsewhere.
const APART: Duration = Duration::from_millis(30);

/// Loops that run side by side.
pub(super) struct Loops {
    running: JoinSet<()>,
    shutdown: CancellationToken,
    /// How long after the worker the last of the loops begins.
    latest: Duration,
}

impl Loops {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self {
            running: JoinSet::new(),
            shutdown,
            latest: Duration::ZERO,
        }
    }

    /// Starts a loop that takes messages.
    pub(super) fn start(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(work);
    }

    /// Starts a loop that looks into the store now and then, a moment after the one before.
    pub(super) fn start_apart(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.latest += APART;
        let (begins, shutdown) = (self.latest, self.shutdown.clone());
        self.running.spawn(async move {
            if timeout(begins, shutdown.cancelled()).await.is_err() {
                work.await;
            }
        });
    }

    /// Waits until a loop has ended. `None` once all have.
    pub(super) async fn ended(&mut self) -> Option<Result<(), JoinError>> {
        self.running.join_next().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn loops_begin_apart_and_none_after_shutdown() {
        let began = Arc::new(Mutex::new(Vec::new()));
        let note = || {
            let began = Arc::clone(&began);
            async move {
                let mut began = began.lock().unwrap_or_else(PoisonError::into_inner);
                began.push(Instant::now());
            }
        };
        let (shutdown, start) = (CancellationToken::new(), Instant::now());
        let mut loops = Loops::new(shutdown.clone());
        loops.start_apart(note());
        loops.start_apart(note());
        while loops.ended().await.is_some() {}
        loops.start_apart(note());
        shutdown.cancel();
        while loops.ended().await.is_some() {}

        let began = began.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(began.len(), 2, "the third one began");
        for (began, place) in began.iter().zip(1..) {
            assert!(
                *began - start >= APART * place,
                "loop {place} began too early"
            );
        }
    }
}
