//! How often a provider is asked.
//!
//! Shared is what the provider counts together. Stripe counts by account, and its endpoints one by
//! one: 25 requests a second each, and 25 in all in a sandbox (<https://docs.stripe.com/rate-limits>).
//! A key stands for its account. Paddle counts by sender address, 240 requests a minute
//! (<https://developer.paddle.com/api-reference/about/rate-limiting>), so all apps of a process share
//! one pace.
//!
//! Other processes are not known here: two may ask at once, one that fetches and one that reconciles,
//! and the seller's own programs ask too. Each takes less than half of what is allowed. Who gets 429
//! all the same waits as long as he is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::key;
use crate::domain::id::Provider;
use crate::provider::STRIPE;

/// Ten a second.
const STRIPE_EVERY: Duration = Duration::from_millis(100);

/// 110 a minute.
const PADDLE_EVERY: Duration = Duration::from_millis(545);

/// The paces of a process. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Paces(Arc<Mutex<HashMap<Counted, Pace>>>);

/// What a provider counts together.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Counted {
    provider: Provider,
    key: Option<[u8; 32]>,
}

impl Paces {
    /// Returns the pace at which a provider is asked with a key.
    pub(super) fn of(&self, provider: Provider, key: &SecretString) -> Pace {
        let by_key = provider == STRIPE.name;
        let counted = Counted {
            provider,
            key: by_key.then(|| key::digest_of(key)),
        };
        let every = if by_key { STRIPE_EVERY } else { PADDLE_EVERY };
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paces
            .entry(counted)
            .or_insert_with(|| Pace::of(every))
            .clone()
    }
}

/// Turns, one after another.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    every: Duration,
    next: Arc<Mutex<Instant>>,
}

impl Pace {
    pub(super) fn of(every: Duration) -> Self {
        Self {
            every,
            next: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Waits for the next turn.
    pub(super) async fn turn(&self) {
        tokio::time::sleep_until(self.take()).await;
    }

    /// Lets nobody ask for a while.
    pub(super) fn rest(&self, pause: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(Instant::now() + pause);
    }

    fn take(&self) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + self.every;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::PADDLE;

    #[test]
    fn keys_of_stripe_have_their_own_pace_and_all_of_paddle_share_one() {
        let paces = Paces::default();
        let of = |provider, key: &str| paces.of(provider, &key.to_owned().into());
        let same = |a: &Pace, b: &Pace| Arc::ptr_eq(&a.next, &b.next);
        let (a, b) = (of(STRIPE.name, "sk_1"), of(STRIPE.name, "sk_2"));
        assert!(same(&a, &of(STRIPE.name, "sk_1")) && !same(&a, &b));
        assert!(same(&of(PADDLE.name, "pdl_1"), &of(PADDLE.name, "pdl_2")));
    }

    #[test]
    fn turns_come_one_after_another_and_never_below_a_wanted_pause() {
        let pace = Pace::of(Duration::from_millis(100));
        let (first, second) = (pace.take(), pace.take());
        assert_eq!(second - first, Duration::from_millis(100));
        pace.rest(Duration::from_mins(1));
        assert!(pace.take() >= first + Duration::from_mins(1));
    }
}
