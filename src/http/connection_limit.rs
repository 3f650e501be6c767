//! A limit on the number of open connections of one address.
//!
//! Without it, a single sender that opens connections and stays silent would keep everybody else
//! waiting. A connection above the limit of its address is closed at once. Behind a proxy all
//! connections come from the proxy, and its clients cannot be told apart before they have sent a
//! request: a trusted proxy therefore has no limit, and has to limit its clients itself.

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

/// The slot of a connection, which is freed when this is dropped.
pub(super) struct Slot {
    connection_limit: ConnectionLimit,
    /// The address under which it is counted; `None` if it is not counted.
    counted_for: Option<IpAddr>,
}

impl ConnectionLimit {
    /// Allows at most `most` connections for each address outside the trusted networks.
    pub(super) fn new(most: usize, trusted: Vec<IpNet>) -> Self {
        Self {
            taken: Arc::default(),
            most,
            trusted: trusted.into(),
        }
    }

    /// Takes a slot for a connection from this address; `None` if it has too many.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Slot> {
        let peer = peer.to_canonical();
        let mut counted_for = None;
        if !self.trusted.iter().any(|network| network.contains(&peer)) {
            let address = subscriber(peer);
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let count = taken.entry(address).or_default();
            if *count >= self.most {
                return None;
            }
            *count += 1;
            counted_for = Some(address);
        }
        Some(Slot {
            connection_limit: self.clone(),
            counted_for,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(address) = self.counted_for else {
            return;
        };
        let taken = self.connection_limit.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_limited_number_of_slots_and_gets_them_back() {
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
    fn the_addresses_of_one_ipv6_network_share_their_slots() {
        let connection_limit = ConnectionLimit::new(1, Vec::new());
        let _slot = connection_limit
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
