//! A limit on the failures of one address.
//!
//! Only failures are counted, after the fact: a valid request is never delayed by the mistakes of
//! others behind the same address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::subscriber::subscriber;

/// The time in which one address may cause so many failures before the answer is 429. Each is
/// forgotten after its share of the time, so the next is allowed soon, not a minute later.
const PERIOD: Duration = Duration::from_mins(1);
const FAILURES: u32 = 100;

/// The number of addresses that are tracked at once, which limits the memory to about a megabyte.
/// All further addresses share one count.
const ADDRESSES: usize = 10_000;

/// Counts failures by address.
#[derive(Debug, Default)]
pub struct Throttle {
    /// When all failures of an address are forgotten.
    forgotten: Mutex<HashMap<IpAddr, Instant>>,
}

impl Throttle {
    /// Counts a failure of this address.
    ///
    /// # Errors
    /// When there were too many, with the time until the next failure is allowed.
    pub fn fail(&self, client: IpAddr) -> Result<(), Duration> {
        self.fail_at(client, Instant::now())
    }

    fn fail_at(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let forgotten = self.forgotten.lock();
        // A count is right whatever somebody panicked at while holding it.
        let mut forgotten = forgotten.unwrap_or_else(PoisonError::into_inner);
        if forgotten.len() >= ADDRESSES {
            forgotten.retain(|_, at| *at > now);
        }
        let key = if forgotten.len() >= ADDRESSES {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            subscriber(client)
        };
        let at = forgotten.entry(key).or_insert(now);
        let next = now.max(*at) + PERIOD / FAILURES;
        let wait = next.saturating_duration_since(now + PERIOD);
        if !wait.is_zero() {
            return Err(wait);
        }
        *at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_may_fail_a_hundred_times() {
        let throttle = Throttle::default();
        let first = IpAddr::from([192, 0, 2, 1]);
        let now = Instant::now();
        for count in 0..100 {
            assert!(throttle.fail_at(first, now).is_ok(), "failure {count}");
        }
        let wait = throttle.fail_at(first, now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(600));
        assert!(throttle.fail_at(IpAddr::from([192, 0, 2, 2]), now).is_ok());
        // One is forgotten after that time, and all after a minute.
        assert!(throttle.fail_at(first, now + wait).is_ok());
        assert!(throttle.fail_at(first, now + wait).is_err());
        let later = now + wait + PERIOD;
        let passed = (0..200).filter(|_| throttle.fail_at(first, later).is_ok());
        assert_eq!(passed.count(), 100);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let throttle = Throttle::default();
        let addr = |last| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let passed = (0..200)
            .filter(|&last| throttle.fail(addr(last)).is_ok())
            .count();
        assert!((100..=102).contains(&passed), "{passed}");
        assert!(
            throttle
                .fail(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]))
                .is_ok()
        );
    }

    #[test]
    fn beyond_the_tracked_addresses_all_others_count_together() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let addresses = u32::try_from(ADDRESSES).unwrap();
        for bits in 1..=addresses {
            let address = IpAddr::from(bits.to_be_bytes());
            throttle.fail_at(address, now).unwrap();
        }
        let further = |last| IpAddr::from([192, 0, 2, last]);
        let passed = (0..200).filter(|&last| throttle.fail_at(further(last), now).is_ok());
        assert_eq!(passed.count(), 100);
        assert_eq!(throttle.forgotten.lock().unwrap().len(), ADDRESSES + 1);
        // Once the others are forgotten each counts alone again.
        let later = now + 2 * PERIOD;
        let passed = (0..200).filter(|&last| throttle.fail_at(further(last), later).is_ok());
        assert_eq!(passed.count(), 200);
    }
}
