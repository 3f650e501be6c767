//! The tokens with which figures were read lately, by their hashes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::access::token::TokenHash;

/// How long a token is remembered: longer than any outage should last.
const REMEMBERED: Duration = Duration::from_hours(12);

/// Most tokens that are remembered. One monitoring system has one.
const MOST: usize = 8;

/// The tokens with which figures were read.
#[derive(Default)]
pub(super) struct Scrapers(Mutex<Vec<(TokenHash, Instant)>>);

impl Scrapers {
    fn with<T>(&self, change: impl FnOnce(&mut Vec<(TokenHash, Instant)>) -> T) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, seen)| seen.elapsed() < REMEMBERED);
        change(&mut known)
    }

    /// Remembers a token that was good just now.
    pub(super) fn remember(&self, hash: TokenHash) {
        self.with(|known| {
            known.retain(|(it, _)| *it != hash);
            if known.len() == MOST {
                known.remove(0);
            }
            known.push((hash, Instant::now()));
        });
    }

    /// Forgets a token that is not good any more.
    pub(super) fn forget(&self, hash: &TokenHash) {
        self.with(|known| known.retain(|(it, _)| it != hash));
    }

    /// Returns true if the token was good lately.
    pub(super) fn knows(&self, hash: &TokenHash) -> bool {
        self.with(|known| known.iter().any(|(it, _)| it == hash))
    }
}
