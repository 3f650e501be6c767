//! The delays after which a failed event is tried again.

use std::time::Duration;

/// The delays between tries, in seconds: short at first, so that nobody notices a brief outage, and
/// long at the end, so that somebody has time to repair what is broken.
const DELAYS: [u64; 6] = [1, 5, 30, 120, 600, 3600];

/// Returns all delays, shortest first, for queues that need one lane for each.
pub fn delays() -> impl Iterator<Item = Duration> {
    DELAYS.into_iter().map(Duration::from_secs)
}

/// Returns the delay of an event before its next try, after `tries` failed tries; `None` when the
/// tries are used up.
pub fn delay_after(tries: u32) -> Option<Duration> {
    let index = usize::try_from(tries).ok()?.checked_sub(1)?;
    DELAYS.get(index).copied().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_end() {
        let delays: Vec<_> = (0..=8)
            .map(|tries| delay_after(tries).map(|delay| delay.as_secs()))
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
        assert_eq!(delays[..7], expected);
        assert_eq!(delays[7..], [None, None]);
    }
}
