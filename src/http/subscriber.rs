//! The part of an address that stands for one subscriber.

use std::net::{IpAddr, Ipv6Addr};

/// Returns the address under which a sender is counted: one subscriber has a whole /64 (RFC 6177,
/// section 2).
pub(super) fn subscriber(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(_) => addr,
        IpAddr::V6(addr) => {
            let [a, b, c, d, ..] = addr.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}
