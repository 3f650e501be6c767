//! When a failed event is tried again.

use std::time::Duration;

/// The rests between tries, in seconds: short enough that a hiccup is over before anybody
/// notices, long enough at the end that somebody can mend what is broken.
const RESTS: [u64; 6] = [1, 5, 30, 120, 600, 3600];

/// All rests, shortest first: what a queue needs a place for.
pub fn rests() -> impl Iterator<Item = Duration> {
    RESTS.into_iter().map(Duration::from_secs)
}

/// How long an event rests before its next try, after `tries` tries that failed; `None` when
/// they are used up.
pub fn rest_after(tries: u32) -> Option<Duration> {
    let index = usize::try_from(tries).ok()?.checked_sub(1)?;
    RESTS.get(index).copied().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_end() {
        let rests: Vec<_> = (0..=8)
            .map(|tries| rest_after(tries).map(|rest| rest.as_secs()))
            .collect();
        let expected = [
            None,
            Some(1),
            Some(5),
            Some(30),
            Some(120),
            Some(600),
            Some(3600),
        ];
        assert_eq!(rests[..7], expected);
        assert_eq!(rests[7..], [None, None]);
    }
}
