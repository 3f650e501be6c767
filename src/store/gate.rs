//! Lets nobody wait for a database that is known to be away.
//!
//! A server that does not answer costs every caller the whole limit of connecting, one after the
//! other, and a registry that asks for each download hangs with them. So once reaching it has
//! failed, callers are refused at once, except one at a time who tries. Who tries rests between
//! tries about as long as the last one took: a refused connection is tried again within
//! milliseconds, one that hangs about once a second. Only what says something about the way to the
//! database closes the gate: a pool that is in use, a slow statement or a refused one does not.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The shortest and the longest rest between two tries.
const REST: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How long a caller waits for somebody else's try before it is refused. Short enough to count as at
/// once; a database that comes back just now is found within it.
const PATIENCE: Duration = Duration::from_millis(100);

/// The database is known to be away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database is known not to answer, and somebody else is trying to reach it")]
pub(super) struct Closed;

/// Opens and closes the way to a database. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// `None` while the database is thought to be there.
    outage: Mutex<Option<Outage>>,
    /// Changes whenever a try has ended.
    tries: watch::Sender<u64>,
}

struct Outage {
    /// True while somebody tries.
    trying: bool,
    /// When the next try may begin.
    next: Instant,
}

/// The right to reach for the database. Dropped without a verdict it changes nothing.
pub(super) struct Turn {
    gate: Gate,
    began: Instant,
    is_try: bool,
}

impl Gate {
    /// Lets a caller through.
    pub(super) async fn enter(&self) -> Result<Turn, Closed> {
        let given_up = tokio::time::Instant::now() + PATIENCE;
        let mut tries = self.0.tries.subscribe();
        loop {
            let rest = match self.ask() {
                Ok(turn) => return Ok(turn),
                Err(rest) => rest,
            };
            let wake = tokio::time::Instant::now() + rest;
            if rest > PATIENCE || tokio::time::Instant::now() >= given_up {
                return Err(Closed);
            }
            // A rest of zero means that somebody is trying.
            let wake = if rest.is_zero() { given_up } else { wake };
            // Ends early when a try has ended; the sender lives as long as the gate.
            let _ = tokio::time::timeout_at(wake.min(given_up), tries.changed()).await;
        }
    }

    /// Returns true if the database is known to be away.
    pub(super) fn is_closed(&self) -> bool {
        self.outage().is_some()
    }

    /// Returns a turn, or the rest until the next try; zero while somebody is trying.
    fn ask(&self) -> Result<Turn, Duration> {
        let mut outage = self.outage();
        let turn = |is_try| Turn {
            gate: self.clone(),
            began: Instant::now(),
            is_try,
        };
        match &mut *outage {
            None => Ok(turn(false)),
            Some(outage) if outage.trying => Err(Duration::ZERO),
            Some(outage) => match outage.next.checked_duration_since(Instant::now()) {
                Some(rest) if !rest.is_zero() => Err(rest),
                _ => {
                    outage.trying = true;
                    Ok(turn(true))
                }
            },
        }
    }

    fn outage(&self) -> std::sync::MutexGuard<'_, Option<Outage>> {
        self.0.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) {
        self.0
            .tries
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Turn {
    /// True if the gate was closed by somebody else while this caller waited for its connection.
    pub(super) fn is_over(&self) -> bool {
        !self.is_try && self.gate.is_closed()
    }

    /// Tells that the database was reached.
    pub(super) fn reached(mut self) {
        self.is_try = false;
        if self.gate.outage().take().is_some() {
            self.gate.told();
        }
    }

    /// Tells that the database could not be reached.
    pub(super) fn not_reached(mut self) {
        self.is_try = false;
        let rest = jittered(self.began.elapsed()).clamp(REST.0, REST.1);
        *self.gate.outage() = Some(Outage {
            trying: false,
            next: Instant::now() + rest,
        });
        self.gate.told();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_try {
            // A caller who went away, or who found out nothing: the next one tries.
            if let Some(outage) = &mut *self.gate.outage() {
                outage.trying = false;
            }
            self.gate.told();
        }
    }
}

/// Returns a duration between half and all of this one, so that many processes do not try in step.
fn jittered(time: Duration) -> Duration {
    // A hasher with random keys is the randomness that the standard library has.
    let random = RandomState::new().build_hasher().finish() % 512;
    time * u32::try_from(512 + random).unwrap_or(512) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn while_one_tries_the_others_are_refused_at_once() {
        let gate = Gate::default();
        let (first, second) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
        first.not_reached();
        assert!(second.is_over(), "who still waits need not reach for it");
        drop(second);
        std::thread::sleep(REST.0 * 2);
        let trying = gate.enter().await.unwrap();
        assert!(!trying.is_over());
        assert_eq!(gate.enter().await.err(), Some(Closed));
        trying.reached();
        assert!(!gate.is_closed());
        gate.enter().await.unwrap();
    }

    #[tokio::test]
    async fn a_caller_who_waits_goes_through_when_the_try_succeeds() {
        let gate = Gate::default();
        gate.enter().await.unwrap().not_reached();
        std::thread::sleep(REST.0 * 2);
        let trying = gate.enter().await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter().await.map(Turn::reached) }
        });
        tokio::task::yield_now().await;
        trying.reached();
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_try_without_a_verdict_leaves_the_next_one_to_another() {
        let gate = Gate::default();
        gate.enter().await.unwrap().not_reached();
        std::thread::sleep(REST.0 * 2);
        drop(gate.enter().await.unwrap());
        assert!(gate.is_closed());
        assert!(gate.enter().await.is_ok());
    }

    #[test]
    fn a_rest_is_about_as_long_as_the_try() {
        for _ in 0..100 {
            let rest = jittered(Duration::from_secs(1));
            assert!(rest >= Duration::from_millis(500) && rest <= Duration::from_secs(1));
        }
    }
}
