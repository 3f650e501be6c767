//! Slows down whoever shows the access check many wrong tokens.
//!
//! The answer stays 401: nginx's `auth_request` makes a 500 of a 429. Only the refusals wait, after
//! the look-up, so a right token from the same address is never delayed: a registry asks for all its
//! users from one address, and a stale token in somebody's build must not slow down the others.
//!
//! A refusal that waits occupies its connection, and behind a proxy all of them belong to one
//! address. So only some wait at once; beyond these, refusals are answered without delay, which
//! costs a look-up by an index each. Finding 256 random bits is hopeless at any speed: the delay only
//! has to keep a program that repeats itself from taking more than its share.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::limits::Limits;
use super::throttle::Throttle;

/// The wrong tokens of all addresses.
pub(super) struct WrongTokens {
    failures: Throttle,
    waiting: Semaphore,
    wait: Duration,
}

impl WrongTokens {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            failures: Throttle::default(),
            waiting: Semaphore::new(limits.wrong_tokens_waiting),
            wait: limits.wrong_token_wait,
        }
    }

    /// Counts a wrong token of this address. Returns at once as long as there were few, else after
    /// a while.
    pub(super) async fn note(&self, client: IpAddr) {
        if self.failures.fail(client).is_ok() {
            return;
        }
        if let Ok(_place) = self.waiting.try_acquire() {
            tokio::time::sleep(self.wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    fn slow(waiting: usize) -> Arc<WrongTokens> {
        Arc::new(WrongTokens::new(&Limits {
            wrong_token_wait: Duration::from_hours(1),
            wrong_tokens_waiting: waiting,
            ..Limits::default()
        }))
    }

    #[tokio::test]
    async fn refusals_wait_once_an_address_had_many() {
        let tokens = slow(10);
        let note = async |last| {
            let noted = tokens.note(IpAddr::from([192, 0, 2, last]));
            tokio::time::timeout(Duration::from_millis(50), noted).await
        };
        for count in 0..100 {
            assert!(note(1).await.is_ok(), "{count}");
        }
        // The allowance grows back at one in 0.6 s, so a slow machine has some left.
        let waits = async || {
            for _ in 0..100 {
                if note(1).await.is_err() {
                    return true;
                }
            }
            false
        };
        assert!(waits().await);
        assert!(note(2).await.is_ok(), "another address");
    }

    #[tokio::test]
    async fn only_some_refusals_wait_at_once() {
        let tokens = slow(3);
        let client = IpAddr::from([192, 0, 2, 1]);
        let notes = (0..2_000).map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { tokens.note(client).await })
        });
        let mut notes: Vec<_> = notes.collect();
        let started = Instant::now();
        while notes.iter().filter(|note| !note.is_finished()).count() > 3 {
            assert!(started.elapsed() < Duration::from_secs(20));
            tokio::task::yield_now().await;
        }
        assert_eq!(tokens.waiting.available_permits(), 0);
        // Whoever hangs up gives its place back.
        notes.iter().for_each(tokio::task::JoinHandle::abort);
        for note in &mut notes {
            let _ = note.await;
        }
        assert_eq!(tokens.waiting.available_permits(), 3);
    }
}
