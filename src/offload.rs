//! Long computations, run where they delay nobody.
//!
//! A computation on a thread that serves requests delays everything else that the thread serves,
//! health checks among it. So a long one gets a thread of its own, and only some run at once, so that
//! they leave processors to the rest. Refused: a thread for every computation, which costs a short one
//! more than it takes.

use std::panic;

use tokio::sync::Semaphore;

use crate::request_context::spawn_blocking;

/// The longest computation that runs where it is asked for, in versions that it compares: one to two
/// milliseconds.
const SHORT: usize = 2_000;

/// The number of long computations at once. Of the process, because it is the processors that they
/// share.
static PERMITS: Semaphore = Semaphore::const_new(2);

/// Runs a computation of about this many comparisons of versions.
pub(crate) async fn run<T: Send + 'static>(
    comparisons: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if comparisons <= SHORT {
        return work();
    }
    // The semaphore is never closed.
    let permit = PERMITS.acquire().await;
    // Whoever waits may hang up; the computation ends all the same, and keeps its permit until then.
    let done = spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    match done.await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => panic::resume_unwind(panic),
        // Cancelled: the process ends, and this task with it.
        Err(Err(_)) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On one thread a computation that ran in place would never let the other task in.
    #[tokio::test]
    async fn a_long_computation_delays_nobody() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let long = tokio::spawn(run(SHORT + 1, move || receiver.recv()));
        tokio::task::yield_now().await;
        sender.send("others went on").unwrap();
        assert_eq!(long.await.unwrap(), Ok("others went on"));
    }

    #[tokio::test]
    async fn a_panic_is_the_callers() {
        let panicked = tokio::spawn(run(SHORT + 1, || panic!("in the computation"))).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(run(SHORT + 1, || 1).await, 1, "and takes no permit along");
    }
}
