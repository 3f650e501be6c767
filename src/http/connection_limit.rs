//! Who sits where: how many connections there may be, and how many of them one address may hold.
//!
//! Without a bound by address, one sender who opens connections and says nothing keeps everybody
//! else waiting. A connection above its address's bound is closed at once. Behind a proxy all
//! connections come from the proxy, whose senders cannot be told apart before they have spoken: a
//! trusted proxy has no bound of its own, and has to limit its senders itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

use super::subscriber::subscriber;

/// Open connections by address. Cheap to clone; all clones count together.
#[derive(Clone)]
pub(super) struct ConnectionLimit {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most: usize,
    trusted: Arc<[IpNet]>,
}

/// A connection's place; free again when it is dropped.
pub(super) struct Seat {
    connection_limit: ConnectionLimit,
    /// Whose it is; `None` for those who are not counted.
    of: Option<IpAddr>,
}

impl ConnectionLimit {
    /// At most `most` for each address that is not in one of the trusted networks.
    pub(super) fn new(most: usize, trusted: Vec<IpNet>) -> Self {
        Self {
            taken: Arc::default(),
            most,
            trusted: trusted.into(),
        }
    }

    /// A seat for a connection from this address; `None` if it has too many.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Seat> {
        let peer = peer.to_canonical();
        let mut of = None;
        if !self.trusted.iter().any(|network| network.contains(&peer)) {
            let holder = subscriber(peer);
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let count = taken.entry(holder).or_default();
            if *count >= self.most {
                return None;
            }
            *count += 1;
            of = Some(holder);
        }
        Some(Seat {
            connection_limit: self.clone(),
            of,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(of) = self.of else { return };
        let taken = self.connection_limit.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_so_many_seats_and_gets_them_back() {
        let connection_limit = ConnectionLimit::new(2, vec!["192.0.2.9/32".parse().unwrap()]);
        let [one, other, proxy] =
            ["192.0.2.1", "192.0.2.2", "192.0.2.9"].map(|it| it.parse().unwrap());
        let first = connection_limit.take(one).unwrap();
        let second = connection_limit.take(one).unwrap();
        assert!(connection_limit.take(one).is_none());
        assert!(connection_limit.take(other).is_some(), "another address");
        drop(first);
        assert!(connection_limit.take(one).is_some(), "one is free again");
        let proxied: Vec<_> = (0..5).map(|_| connection_limit.take(proxy)).collect();
        assert!(proxied.iter().all(Option::is_some), "a trusted proxy");
        drop(proxied);
        drop(second);
        assert!(
            connection_limit.taken.lock().unwrap().is_empty(),
            "nothing is remembered"
        );
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_share_their_seats() {
        let connection_limit = ConnectionLimit::new(1, Vec::new());
        let _seat = connection_limit
            .take("2001:db8:0:1::1".parse().unwrap())
            .unwrap();
        assert!(
            connection_limit
                .take("2001:db8:0:1::2".parse().unwrap())
                .is_none()
        );
        assert!(
            connection_limit
                .take("2001:db8:0:2::1".parse().unwrap())
                .is_some()
        );
    }
}
