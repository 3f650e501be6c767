//! Randomness for secrets, tokens and the ids shown with them. The ids of customers that webhooks
//! create are drawn where facts are applied, which must not fail half-way.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use uuid::{Builder, Uuid};

use crate::domain::time::Timestamp;

/// The operating system gave no random bytes. No secret can be made until it does.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomError(#[source] getrandom::Error);

/// Returns random bytes fit for keys and tokens.
///
/// # Errors
/// When the operating system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RandomError)?;
    Ok(bytes)
}

/// Random bytes that a thread has drawn and not used yet.
struct Drawn {
    bytes: [u8; DRAWN],
    used: usize,
}

/// How many bytes are drawn at once for ids.
const DRAWN: usize = 1_024;

thread_local! {
    static DRAWN_BYTES: RefCell<Drawn> = const {
        RefCell::new(Drawn { bytes: [0; DRAWN], used: DRAWN })
    };
}

/// Returns random bytes for ids, of which every request needs some: the operating system is asked only
/// once for many. They stay in memory until then, so they are not for secrets.
///
/// # Errors
/// When the operating system gives none.
pub fn bytes_for_id<const N: usize>() -> Result<[u8; N], RandomError> {
    DRAWN_BYTES.with_borrow_mut(|drawn| {
        if drawn.used + N > DRAWN {
            getrandom::fill(&mut drawn.bytes).map_err(RandomError)?;
            drawn.used = 0;
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&drawn.bytes[drawn.used..drawn.used + N]);
        drawn.used += N;
        Ok(bytes)
    })
}

/// Counts the UUIDs of this process.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Returns a UUID of version 7, which sorts by `now` to the millisecond and, within a millisecond of
/// one process, in the order in which they were made: lists are sorted by ids. For that a count of
/// all UUIDs of the process takes the upper 26 of the random bits (RFC 9562, section 6.2); 48 are
/// left to tell processes apart.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn uuid(now: Timestamp) -> Result<Uuid, RandomError> {
    let millis = u64::try_from(now.nanos() / 1_000_000).unwrap_or_default();
    let mut random: [u8; 10] = bytes_for_id()?;
    let count = MADE.fetch_add(1, Ordering::Relaxed);
    // The upper four bits of the first pair become the version, the upper two of the second the
    // variant: twelve and fourteen bits are left.
    let (high, low) = ((count >> 14) & 0xfff, count & 0x3fff);
    random[..2].copy_from_slice(&high.to_be_bytes()[2..]);
    random[2..4].copy_from_slice(&low.to_be_bytes()[2..]);
    Ok(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn later_uuids_sort_later() {
        let at = |millis: i64| uuid(Timestamp::from_nanos(millis * 1_000_000)).unwrap();
        let (earlier, later) = (at(1_700_000_000_000), at(1_700_000_000_001));
        assert!(earlier < later);
        assert_eq!(later.get_version_num(), 7);
    }

    #[test]
    fn uuids_of_one_millisecond_sort_in_the_order_in_which_they_were_made() {
        let at = Timestamp::from_nanos(1_234_567_000_000);
        let drawn: Vec<Uuid> = (0..1_000).map(|_| uuid(at).unwrap()).collect();
        assert!(drawn.is_sorted_by(|one, next| one < next), "{drawn:?}");
        assert!(drawn.iter().all(|it| it.get_version_num() == 7));
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>().unwrap(), bytes::<32>().unwrap());
        let drawn: BTreeSet<[u8; 10]> = (0..1_000).map(|_| bytes_for_id().unwrap()).collect();
        assert_eq!(drawn.len(), 1_000);
    }
}
