//! The timer for the heads of one connection's requests.
//!
//! hyper starts a timer whenever it begins to wait for a head, and drops it when the head is there. With
//! the runtime's own, each request enters and leaves the list of timers that all connections share. Here
//! a connection enters it once, and moves its entry only when that elapses: by then, hyper nearly always
//! waits for a later head, which has time left.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt;
use tokio::time;

/// The timer of one connection. Clones share its entry.
#[derive(Clone)]
pub(super) struct HeadTimer(Arc<Mutex<Pin<Box<time::Sleep>>>>);

impl HeadTimer {
    /// Must be called within a runtime.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Box::pin(time::sleep(Duration::ZERO)))))
    }
}

impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Head {
            deadline: deadline.into(),
            entry: self.clone(),
        })
    }
}

/// Ends when a head is late.
struct Head {
    deadline: time::Instant,
    entry: HeadTimer,
}

impl rt::Sleep for Head {}

impl Future for Head {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Only the task of the connection takes it, so nobody waits.
        let mut entry = (self.entry.0.lock()).unwrap_or_else(PoisonError::into_inner);
        // With one limit for all heads the later one always has the later deadline; a timer promises more.
        if entry.deadline() > self.deadline {
            entry.as_mut().reset(self.deadline);
        }
        loop {
            ready!(entry.as_mut().poll(context));
            if entry.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            entry.as_mut().reset(self.deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Timer;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_head_has_all_of_its_time_whatever_was_waited_for_before() {
        let timer = HeadTimer::new();
        for before in [SHORT / 2, LONG] {
            // The head is there in time, so its timer is dropped.
            let _ = time::timeout(SHORT / 4, timer.sleep(before)).await;
            let began = timer.now();
            timer.sleep(SHORT).await;
            let took = timer.now() - began;
            assert!(took >= SHORT && took < LONG / 2, "{took:?}");
        }
    }

    #[tokio::test]
    async fn a_head_that_waits_is_late_at_its_own_deadline() {
        let timer = HeadTimer::new();
        let began = timer.now();
        timer.sleep(SHORT).await;
        timer.sleep(2 * SHORT).await;
        assert!(timer.now() - began >= 3 * SHORT);
        assert!(time::timeout(SHORT, timer.sleep(LONG)).await.is_err());
    }
}
