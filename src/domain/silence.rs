//! Endpoints of providers to which nothing comes any more.

use crate::domain::span::Span;
use crate::domain::time::Timestamp;

/// Returns true if operators are to be told that an endpoint is silent: its last webhook came `limit`
/// ago or earlier, and they were not told since. `told_of` is the last webhook as it was when they were
/// told; another one has begun a new silence. An endpoint to which nothing ever came is not silent: it
/// has just been made, or nothing is sold.
pub fn is_to_be_told(
    last_received: Option<Timestamp>,
    told_of: Option<Timestamp>,
    limit: Span,
    now: Timestamp,
) -> bool {
    last_received.is_some_and(|last| limit.after(last) <= now && told_of != Some(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_of_once() {
        let day = |day: i64| Timestamp::from_seconds(day * 86_400).unwrap();
        for (last, told, now, expected, why) in [
            (None, None, 100, false, "nothing ever came"),
            (Some(10), None, 12, false, "not long enough"),
            (Some(10), None, 13, true, "to the instant"),
            (Some(10), Some(10), 40, false, "told already"),
            (Some(20), Some(10), 22, false, "something came since"),
            (Some(20), Some(10), 23, true, "silent anew"),
            (Some(20), None, 10, false, "a clock that goes ahead"),
        ] {
            let told_now = is_to_be_told(last.map(day), told.map(day), Span::days(3), day(now));
            assert_eq!(told_now, expected, "{why}");
        }
    }
}
