//! Which addresses are on the public internet: hooks go nowhere else unless the operator allows it,
//! or whoever may make a hook could reach what only this machine can.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True of an address that may be anybody's on the internet. By the registries of special addresses:
/// <https://www.iana.org/assignments/iana-ipv4-special-registry> and
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// True of an address that only neighbours on the link have, or many at once, in whatever notation. Clouds
/// keep what a machine may know of itself there, its credentials too, and no receiver: operators who allow
/// private addresses do not mean these.
pub(super) fn is_link_local_or_metadata(address: IpAddr) -> bool {
    /// Where clouds have the same elsewhere: Alibaba's, Oracle's, Azure's (which the registries call
    /// public), and by IPv6 Amazon's two, Google's, Oracle's and Scaleway's.
    const METADATA: [IpAddr; 8] = [
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
        IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
        IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
        IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
    ];
    let is_one = |address: IpAddr| {
        METADATA.contains(&address)
            || address.is_multicast()
            || match address {
                IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
                IpAddr::V6(address) => address.is_unicast_link_local(),
            }
    };
    let stands_for = match address {
        IpAddr::V6(it) => within(it),
        IpAddr::V4(_) => Vec::new(),
    };
    is_one(address) || stands_for.into_iter().map(IpAddr::V4).any(is_one)
}

/// The addresses of the other family that one of this family may stand for: mapped, compatible, translated
/// (RFC 7915), by NAT64 (with the prefix of all, or one of a network's own), 6to4, Teredo or ISATAP. A
/// network chooses among four layouts for NAT64 of its own (RFC 6052, 2.2), so that one can stand for several.
fn within(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    // Eight bits of the one, then eight of the other.
    let joined = |high: u16, low: u16| (high << 8) | (low >> 8);
    let segments = address.segments();
    let mut all = match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => vec![v4(high, low)],
        // Bits 64 to 71 are left out.
        [0x64, 0xff9b, 1, fourth, fifth, sixth, high, low] => vec![
            v4(high, low),
            v4(fourth, joined(fifth, sixth)),
            v4(joined(fourth, fifth << 8), sixth),
            v4(joined(fifth, sixth), joined(sixth, high)),
        ],
        // With each bit turned over.
        [0x2001, 0, _, _, _, _, high, low] => vec![v4(!high, !low)],
        _ => Vec::new(),
    };
    if let [_, _, _, _, 0 | 0x200, 0x5efe, high, low] = segments {
        all.push(v4(high, low));
    }
    all
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let refused = address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        // With the metadata services of clouds, 169.254.169.254.
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        // "This network", where some systems reach themselves.
        || a == 0
        // Carrier-grade NAT, which clouds also use within (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
        // Protocol assignments and 6to4 relays.
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        // Benchmarks (RFC 2544), and what is reserved.
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !refused
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // A stand-in is judged as what it stands for, but for those that lead nowhere on the internet.
    if matches!(
        segments,
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x2002, ..] | [0, 0, 0, 0, 0, 0xffff, ..]
    ) {
        return within(address).into_iter().all(is_public_v4);
    }
    // Only what has been given out (2000::/3) is public, which leaves out loopback, unspecified,
    // compatible, unique local, link-local, site-local and multicast addresses.
    let is_given_out = segments[0] & 0xe000 == 0x2000;
    // Teredo and other protocol assignments (2001::/23), documentation.
    let is_special = match segments {
        [0x2001, second, ..] => second < 0x200 || second == 0xdb8,
        [0x3fff, second, ..] => second < 0x1000,
        _ => false,
    };
    is_given_out && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_the_link_is_known_in_every_form() {
        for link in [
            "169.254.169.254",
            "::ffff:169.254.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:a9:fe:a9fe::",
            "64:ff9b:1:0:a9:fea9:fe00:0",
            "64:ff9b::6464:64c8",
            "192.0.0.192",
            "::ffff:0:a9fe:a9fe",
            "2001:0:4136:e378:8000:63bf:5601:5601",
            "2a00:1450:4001::5efe:a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "168.63.129.16",
            "::ffff:168.63.129.16",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
        ] {
            assert!(is_link_local_or_metadata(link.parse().unwrap()), "{link}");
        }
        for other in [
            "127.0.0.1",
            "10.0.0.1",
            "::1",
            "fd00::1",
            "1.1.1.1",
            "100.64.0.1",
            "::",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "64:ff9b:1:a00:0:100::",
            "2002:a00:1::1",
            "192.0.0.8",
        ] {
            assert!(
                !is_link_local_or_metadata(other.parse().unwrap()),
                "{other}"
            );
        }
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::101:101",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(refused.parse().unwrap()), "{refused}");
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2606:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
