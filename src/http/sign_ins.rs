//! Links that sign somebody in to the console once, offered by this process to whoever started it.
//!
//! They are kept in memory alone: they are good for a few minutes, at this process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::access::token::TokenHash;
use crate::domain::time::Timestamp;
use crate::random::{self, RandomError};

/// How long a link is good: long enough to find it in a terminal and open it.
const LIFE: Duration = Duration::from_mins(5);

/// Most links that wait. The oldest gives way.
const MOST: usize = 8;

/// The links that wait to be opened. Cheap to clone; all clones share them.
#[derive(Clone, Debug, Default)]
pub struct SignIns(Arc<Mutex<Vec<Waiting>>>);

#[derive(Debug)]
struct Waiting {
    /// Of the link's text: whoever reads the memory cannot open it.
    link: TokenHash,
    /// Of the admin token that it stands for.
    token: TokenHash,
    ends_at: Timestamp,
}

impl SignIns {
    /// Offers a link for this admin token, and returns its text.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn offer(&self, token: TokenHash, now: Timestamp) -> Result<String, RandomError> {
        let text = hex::encode(random::bytes::<32>()?);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST {
            waiting.remove(0);
        }
        waiting.push(Waiting {
            link: TokenHash::of(&text),
            token,
            ends_at: now.plus(LIFE),
        });
        Ok(text)
    }

    /// Takes a link, which is good no more then. Returns the token that it stands for; `None` if it was
    /// never offered, was taken, or has run out.
    pub(super) fn take(&self, text: &str, now: Timestamp) -> Option<TokenHash> {
        let link = TokenHash::of(text);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Hashes are compared, so the time that it takes tells nothing of the text.
        let place = waiting
            .iter()
            .position(|it| it.link.as_bytes() == link.as_bytes())?;
        let taken = waiting.remove(place);
        (now < taken.ends_at).then_some(taken.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_once_and_not_for_long() {
        let sign_ins = SignIns::default();
        let now = Timestamp::from_nanos(0);
        let offer = || sign_ins.offer(TokenHash::of("token"), now).unwrap();
        let text = offer();
        assert!(sign_ins.take("other", now).is_none());
        let token = sign_ins.take(&text, now).unwrap();
        assert_eq!(token.as_bytes(), TokenHash::of("token").as_bytes());
        assert!(sign_ins.take(&text, now).is_none(), "it was taken");
        let late = offer();
        assert!(sign_ins.take(&late, now.plus(LIFE)).is_none());
        let first = offer();
        for _ in 0..MOST {
            offer();
        }
        assert!(sign_ins.take(&first, now).is_none(), "it gave way");
    }
}
