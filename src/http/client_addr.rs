//! The address of the sender of a request, for the log and for counting failures.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;

use super::AppState;

/// The sender's address: that of the connection, unless a trusted proxy reports another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

impl ClientAddr {
    /// Follows the proxies from the connection towards the sender for as long as they are trusted.
    ///
    /// A proxy appends to `X-Forwarded-For` the address from which it got the request, so only the
    /// last entry is its own statement, and the ones before it are unverified. Entries are read
    /// from the right, each only if the one that vouches for it is a trusted proxy; anybody can
    /// send the ones on the left.
    pub(super) fn find(headers: &HeaderMap, extensions: &Extensions, trusted: &[IpNet]) -> Self {
        // Without a connection, as in tests that call the router directly, the sender is unknown.
        let peer = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let mut client = peer.to_canonical();
        let is_trusted = |addr: IpAddr| trusted.iter().any(|network| network.contains(&addr));
        let lines = headers.get_all("x-forwarded-for");
        for line in lines.iter().rev() {
            for entry in line.as_bytes().rsplit(|&byte| byte == b',') {
                if !is_trusted(client) {
                    if client == peer.to_canonical() {
                        tell_unnamed(client);
                    }
                    return Self(client);
                }
                // Something that is not an address ends the search at the proxy that passed it on.
                let Some(addr) = parse(entry) else {
                    return Self(client);
                };
                client = addr;
            }
        }
        Self(client)
    }
}

/// Tells once that a proxy which is not named stands before this server: all who come through it are
/// counted as one, and one of them can use up what each has. Only of addresses that are not public,
/// because anybody can send the header.
fn tell_unnamed(peer: IpAddr) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let is_near = match peer {
        IpAddr::V4(it) => it.is_loopback() || it.is_private() || it.is_link_local(),
        IpAddr::V6(it) => it.is_loopback() || it.is_unique_local() || it.is_unicast_link_local(),
    };
    if is_near && !TOLD.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            proxy.address = %peer,
            "X-Forwarded-For comes from a proxy that TOLLGATE_TRUSTED_PROXIES does not name: whoever \
             comes through it counts as this one address"
        );
    }
}

/// Reports whether a request comes from a trusted proxy, so that what it says of the original request
/// is believed.
pub(super) fn is_proxy(extensions: &Extensions, trusted: &[IpNet]) -> bool {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|peer| {
        let peer = peer.0.ip().to_canonical();
        trusted.iter().any(|network| network.contains(&peer))
    })
}

/// Parses an address, bare or with a port, which some proxies add: `192.0.2.1`, `192.0.2.1:4711`,
/// `2001:db8::1`, `[2001:db8::1]:4711`.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let addr = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|addr| addr.ip()))
        .or_else(|_| text.trim_start_matches('[').trim_end_matches(']').parse())
        .ok()?;
    Some(addr.to_canonical())
}

impl FromRequestParts<AppState> for ClientAddr {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let trusted = &state.settings.trusted_proxies;
        Ok(Self::find(&parts.headers, &parts.extensions, trusted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_forwarded_for_counts_as_far_as_trusted_proxies_vouch_for_it() {
        let cases: [(&str, &str, &[&str], &str); 11] = [
            ("no proxy, no header", "198.51.100.7", &[], "198.51.100.7"),
            (
                "a stranger's header",
                "198.51.100.7",
                &["192.0.2.1"],
                "198.51.100.7",
            ),
            ("one proxy", "10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            (
                "one proxy, forged entry",
                "10.0.0.1",
                &["1.1.1.1, 192.0.2.1"],
                "192.0.2.1",
            ),
            (
                "two proxies",
                "10.0.0.1",
                &["192.0.2.1, 10.0.0.2"],
                "192.0.2.1",
            ),
            (
                "two lines",
                "10.0.0.1",
                &["1.1.1.1", "192.0.2.1,10.0.0.2"],
                "192.0.2.1",
            ),
            (
                "all trusted",
                "10.0.0.1",
                &["10.0.0.3, 10.0.0.2"],
                "10.0.0.3",
            ),
            (
                "not an address",
                "10.0.0.1",
                &["192.0.2.1, unknown"],
                "10.0.0.1",
            ),
            ("with a port", "10.0.0.1", &["192.0.2.1:4711"], "192.0.2.1"),
            (
                "IPv6 with a port",
                "10.0.0.1",
                &["[2001:db8::1]:4711"],
                "2001:db8::1",
            ),
            (
                "IPv4 inside IPv6",
                "::ffff:10.0.0.1",
                &["::ffff:192.0.2.1"],
                "192.0.2.1",
            ),
        ];
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        for (description, peer, lines, expected) in cases {
            let mut extensions = Extensions::new();
            let peer: IpAddr = peer.parse().unwrap();
            extensions.insert(ConnectInfo(SocketAddr::new(peer, 4000)));
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let found = ClientAddr::find(&headers, &extensions, &trusted);
            assert_eq!(
                found.0,
                expected.parse::<IpAddr>().unwrap(),
                "{description}"
            );
        }
    }
}
