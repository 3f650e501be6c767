//! Who asks, and under which address.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;

use crate::domain::access::token::TokenHash;
use crate::domain::time::Timestamp;
use crate::http::AppState;
use crate::http::client_addr::{ClientAddr, is_proxy};
use crate::http::customer_token::presented;
use crate::pipeline::composer::Request;

/// The caller of a request.
pub(super) struct Caller {
    pub(super) token: Option<TokenHash>,
    /// Where the request came from.
    pub(super) client: ClientAddr,
    /// The address of this server as the caller knows it, such as `https://packages.example.com`.
    pub(super) here: String,
    /// Now, by the local clock.
    pub(super) now: Timestamp,
}

impl Caller {
    /// The question of this caller.
    pub(super) fn request<'a>(&'a self, state: &'a AppState) -> Request<'a> {
        Request {
            store: &state.store,
            repositories: &state.repositories,
            token: self.token.as_ref(),
            now: self.now,
        }
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let trusted = &state.settings.trusted_proxies;
        Ok(Self {
            token: presented(&parts.headers),
            client: ClientAddr::find(&parts.headers, &parts.extensions, trusted),
            here: here(&parts.headers, &parts.extensions, trusted),
            now: state.clock.now(),
        })
    }
}

/// The address of this server, as the client wrote it: a trusted proxy tells the scheme and the host
/// that it was asked for, else it is what was sent to us. Without a host it is empty, and what is
/// appended to it a path.
fn here(headers: &HeaderMap, extensions: &Extensions, trusted: &[IpNet]) -> String {
    let is_proxied = is_proxy(extensions, trusted);
    let text = |name: &str| {
        let line = headers.get(name).and_then(|line| line.to_str().ok());
        // The first proxy is the one that the client asked.
        line.and_then(|line| line.split(',').next()).map(str::trim)
    };
    let forwarded = |name: &str| text(name).filter(|_| is_proxied);
    let scheme = match forwarded("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    let host = forwarded("x-forwarded-host").or_else(|| text("host"));
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    // A user before the host would be somebody's credentials.
    let host = host.filter(|host| !host.as_str().contains('@'));
    host.map_or_else(String::new, |host| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_what_the_client_asked_for() {
        type Case = (
            &'static str,
            &'static str,
            &'static [(&'static str, &'static str)],
            &'static str,
        );
        let cases: [Case; 6] = [
            (
                "as it was sent",
                "198.51.100.7:1",
                &[("host", "a.example:8080")],
                "http://a.example:8080",
            ),
            (
                "a stranger's headers",
                "198.51.100.7:1",
                &[
                    ("host", "a.example"),
                    ("x-forwarded-proto", "https"),
                    ("x-forwarded-host", "b.example"),
                ],
                "http://a.example",
            ),
            (
                "a proxy that keeps the host",
                "10.0.0.1:1",
                &[("host", "a.example"), ("x-forwarded-proto", "https")],
                "https://a.example",
            ),
            (
                "a proxy that tells the host",
                "10.0.0.1:1",
                &[
                    ("host", "10.0.0.2"),
                    ("x-forwarded-proto", "https, http"),
                    ("x-forwarded-host", "b.example"),
                ],
                "https://b.example",
            ),
            ("no host", "198.51.100.7:1", &[], ""),
            (
                "no honest host",
                "198.51.100.7:1",
                &[("host", "user:pw@a.example")],
                "",
            ),
        ];
        for (description, peer, lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                let name: HeaderName = name.parse().unwrap();
                headers.insert(name, HeaderValue::from_static(value));
            }
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
            let found = here(&headers, &extensions, &["10.0.0.0/8".parse().unwrap()]);
            assert_eq!(found, expected, "{description}");
        }
    }
}
