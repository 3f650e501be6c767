//! A limit on the failures of one address.
//!
//! Only failures are counted, after the fact: a valid request is never delayed by the mistakes of
//! others behind the same address.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::client_addr::subscriber;

/// The number of failures of one address in a minute after which the answer is 429.
const FAILURES_A_MINUTE: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// The number of addresses that are tracked at once, which limits the memory to about a megabyte.
/// All further addresses share one count.
const ADDRESSES: usize = 10_000;

/// Counts failures by address.
#[derive(Debug)]
pub struct Throttle {
    failures: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            failures: RateLimiter::keyed(Quota::per_minute(FAILURES_A_MINUTE)),
            clock: DefaultClock::default(),
        }
    }
}

impl Throttle {
    /// Counts a failure of this address.
    ///
    /// # Errors
    /// When there were too many, with the time until the next failure is allowed.
    pub fn fail(&self, client: IpAddr) -> Result<(), Duration> {
        let key = self.key(client);
        self.failures
            .check_key(&key)
            .map_err(|until| until.wait_time_from(self.clock.now()))
    }

    fn key(&self, client: IpAddr) -> IpAddr {
        if self.failures.len() >= ADDRESSES {
            self.failures.retain_recent();
        }
        if self.failures.len() >= ADDRESSES {
            return IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        }
        subscriber(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_may_fail_a_hundred_times() {
        let throttle = Throttle::default();
        let first = IpAddr::from([192, 0, 2, 1]);
        for count in 0..100 {
            assert!(throttle.fail(first).is_ok(), "failure {count}");
        }
        let wait = throttle.fail(first).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert!(throttle.fail(IpAddr::from([192, 0, 2, 2])).is_ok());
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
        for bits in 0..2 * u32::try_from(ADDRESSES).unwrap() {
            if throttle.failures.len() >= ADDRESSES {
                break;
            }
            // More than once, so that none is forgotten again at once.
            for _ in 0..5 {
                throttle.fail(IpAddr::from(bits.to_be_bytes())).unwrap();
            }
        }
        let further = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(throttle.key(further), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let _ = throttle.fail(further);
        assert!(throttle.failures.len() <= ADDRESSES + 1);
    }
}
