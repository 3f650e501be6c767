//! Where hooks may go: to addresses of the internet only, unless the operator allows others.

use std::net::IpAddr;

use reqwest::Url;

use super::address::{is_link_local_or_metadata, is_public};

/// Where hooks may go.
#[derive(Clone, Copy, Debug)]
pub struct Destinations {
    private: bool,
}

/// Why a hook may not go somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsuitable {
    /// It is no URL of the right form.
    Url,
    /// The address is one that hooks may not go to.
    Address,
}

impl Destinations {
    /// Where they may go by the setting `TOLLGATE_HOOKS_PRIVATE`: with it, private addresses are allowed,
    /// except link-local ones, and so is `http`.
    pub const fn new(private: bool) -> Self {
        Self { private }
    }

    /// Checks where a hook is to go. What a name leads to is looked at when it is used.
    ///
    /// # Errors
    /// When the value is wrong, with the end of a sentence about it.
    pub fn check(self, url: &str) -> Result<(), String> {
        let parsed = Url::parse(url).map_err(|_| "must be a URL".to_owned())?;
        match self.check_url(&parsed) {
            Ok(()) => Ok(()),
            Err(Unsuitable::Address) if self.private => Err(
                "must not lead to a link-local address, or to where clouds keep credentials"
                    .to_owned(),
            ),
            Err(Unsuitable::Address) => Err(
                "must not lead to a private address unless TOLLGATE_HOOKS_PRIVATE is `on`"
                    .to_owned(),
            ),
            Err(_) if self.private => Err(
                "must be an https:// or http:// URL without a user, a fragment or port 0"
                    .to_owned(),
            ),
            Err(_) => {
                Err("must be an https:// URL without a user, a fragment or port 0".to_owned())
            }
        }
    }

    /// Checks a URL without asking anybody.
    pub(super) fn check_url(self, url: &Url) -> Result<(), Unsuitable> {
        let scheme = url.scheme() == "https" || (self.private && url.scheme() == "http");
        let is_plain = url.username().is_empty() && url.password().is_none();
        // Nobody listens at port 0.
        if !scheme || !is_plain || url.fragment().is_some() || url.port() == Some(0) {
            return Err(Unsuitable::Url);
        }
        let host = url.host_str().ok_or(Unsuitable::Url)?;
        // As the parser writes addresses: `0x7f.1` has become `127.0.0.1`.
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        match literal.parse::<IpAddr>() {
            Ok(address) if !self.include(address) => Err(Unsuitable::Address),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// True if an address may be reached.
    pub(super) fn include(self, address: IpAddr) -> bool {
        !is_link_local_or_metadata(address) && (self.private || is_public(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_go_to_the_internet_and_by_tls_unless_the_operator_says_otherwise() {
        let checked = |url: &str, private| {
            let url = Url::parse(url).map_err(|_| Unsuitable::Url);
            url.and_then(|url| Destinations::new(private).check_url(&url))
        };
        let (form, address) = (Err(Unsuitable::Url), Err(Unsuitable::Address));
        for (url, public, private) in [
            ("https://example.com/hook", Ok(()), Ok(())),
            ("http://example.com/hook", form, Ok(())),
            ("ftp://example.com/", form, form),
            ("https://user:pw@example.com/", form, form),
            ("https://example.com:0/", form, form),
            ("https://127.0.0.1/", address, Ok(())),
            ("https://127.0.0.1./", address, Ok(())),
            ("https://2130706433/", address, Ok(())),
            ("https://0x7f.1/", address, Ok(())),
            ("https://0177.0.0.1/", address, Ok(())),
            ("https://10.1.2.3:8443/", address, Ok(())),
            ("https://169.254.169.254/latest", address, address),
            ("http://[::ffff:169.254.169.254]/", form, address),
            ("https://[64:ff9b::a9fe:a9fe]/", address, address),
            ("https://168.63.129.16/", address, address),
            ("https://[::1]/", address, Ok(())),
            ("https://[::ffff:127.0.0.1]/", address, Ok(())),
            ("https://[fd00::1]/", address, Ok(())),
            ("https://1.1.1.1/", Ok(()), Ok(())),
        ] {
            assert_eq!(checked(url, false), public, "{url}");
            assert_eq!(checked(url, true), private, "{url}, private allowed");
        }
    }
}
