//! Randomness for secrets, tokens and the ids shown with them. The ids of customers that webhooks
//! create are drawn where facts are applied, which must not fail half-way.

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

/// Returns a UUID of version 7, which sorts by `now` to the millisecond.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn uuid(now: Timestamp) -> Result<Uuid, RandomError> {
    let millis = u64::try_from(now.nanos() / 1_000_000).unwrap_or_default();
    Ok(Builder::from_unix_timestamp_millis(millis, &bytes()?).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_uuids_sort_later() {
        let at = |millis: i64| uuid(Timestamp::from_nanos(millis * 1_000_000)).unwrap();
        let (earlier, later) = (at(1_700_000_000_000), at(1_700_000_000_001));
        assert!(earlier < later);
        assert_eq!(later.get_version_num(), 7);
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>().unwrap(), bytes::<32>().unwrap());
    }
}
