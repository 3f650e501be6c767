//! Sends deliveries, to addresses of the internet only unless the operator allows others.
//!
//! Whoever may make a hook chooses where this machine connects to. So a name is resolved here, what is
//! not public is left out of the answer, and the connection is made to what is left: nothing is
//! resolved a second time, between the look and the use. An address in place of a name never reaches
//! a resolver, and is looked at before. Redirects are not followed, and no proxy is used, which would
//! resolve names by itself.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};

use super::address::{is_of_the_link, is_public};
use crate::retry_after::retry_after;
use crate::tls;

/// The longest wait for an answer. The specification proposes 15 to 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Sends deliveries. Cheap to clone.
#[derive(Clone)]
pub struct HookSender {
    client: Client,
    private: bool,
}

/// What is sent.
pub(super) struct Outgoing<'a> {
    pub(super) url: &'a str,
    pub(super) id: &'a str,
    pub(super) seconds: i64,
    pub(super) signature: String,
    pub(super) body: String,
}

/// What the receiver answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
}

/// Why there was no answer. Its words are those of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SendError {
    #[error("url_invalid")]
    Url,
    #[error("address_refused")]
    Refused,
    #[error("timed_out")]
    TimedOut,
    #[error("name_unknown")]
    NoName,
    #[error("certificate_expired")]
    Expired,
    #[error("certificate_untrusted")]
    Untrusted,
    #[error("certificate_of_another_name")]
    OtherName,
    #[error("tls_failed")]
    Tls,
    #[error("connection_failed")]
    Failed,
    #[error("secret_unreadable")]
    NoSecret,
}

/// No address of a name may be reached.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to no address that hooks may go to")]
struct NotPublic;

/// A name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name leads nowhere")]
struct NoName(#[source] std::io::Error);

impl HookSender {
    /// Makes one. `private`: addresses that are not on the internet are good too, but for those of the
    /// link, and so is `http`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(private: bool) -> Result<Self, reqwest::Error> {
        tls::use_ring();
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(TIMEOUT)
            // A receiver that redirects is not the one that was named.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("Tollgate/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Guard { private }))
            .build()?;
        Ok(Self { client, private })
    }

    /// Checks where a hook is to go. What a name leads to is looked at when it is used.
    ///
    /// # Errors
    /// When the value is wrong, with the end of a sentence about it.
    pub fn check(&self, url: &str) -> Result<(), String> {
        let parsed = Url::parse(url).map_err(|_| "must be an address of the web".to_owned())?;
        match destination(&parsed, self.private) {
            Ok(()) => Ok(()),
            Err(SendError::Refused) if self.private => Err(
                "must not lead to a link-local address, or to where clouds keep credentials"
                    .to_owned(),
            ),
            Err(SendError::Refused) => Err(
                "must not lead to a private address unless TOLLGATE_HOOKS_PRIVATE is `on`"
                    .to_owned(),
            ),
            Err(_) if self.private => Err(
                "must begin with https:// or http://, without user, fragment and port 0".to_owned(),
            ),
            Err(_) => Err("must begin with https://, without user, fragment and port 0".to_owned()),
        }
    }

    /// Sends a delivery once.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, SendError> {
        let url = Url::parse(outgoing.url).map_err(|_| SendError::Url)?;
        destination(&url, self.private)?;
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", outgoing.id)
            .header("webhook-timestamp", outgoing.seconds)
            .header("webhook-signature", outgoing.signature)
            .body(outgoing.body);
        let response = request.send().await.map_err(|error| cause(&error))?;
        let status = response.status().as_u16();
        // The body is not read: nothing of it is used.
        Ok(Answer {
            status,
            // With any other status the header means something else, or nothing.
            retry_after: match status {
                429 | 503 => retry_after(response.headers()),
                _ => None,
            },
        })
    }
}

/// Checks an address without asking anybody.
fn destination(url: &Url, private: bool) -> Result<(), SendError> {
    let scheme = url.scheme() == "https" || (private && url.scheme() == "http");
    let is_plain = url.username().is_empty() && url.password().is_none();
    // Nobody listens at port 0.
    if !scheme || !is_plain || url.fragment().is_some() || url.port() == Some(0) {
        return Err(SendError::Url);
    }
    let host = url.host_str().ok_or(SendError::Url)?;
    // As the parser writes addresses: `0x7f.1` has become `127.0.0.1`.
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    match literal.parse::<IpAddr>() {
        Ok(address) if !may_be_reached(address, private) => Err(SendError::Refused),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn may_be_reached(address: IpAddr, private: bool) -> bool {
    !is_of_the_link(address) && (private || is_public(address))
}

fn cause(error: &reqwest::Error) -> SendError {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(it) = next {
        if it.is::<NotPublic>() {
            return SendError::Refused;
        }
        if it.is::<NoName>() {
            return SendError::NoName;
        }
        if let Some(error) = held_tls(it) {
            return of_tls(error);
        }
        next = it.source();
    }
    if error.is_timeout() {
        SendError::TimedOut
    } else {
        SendError::Failed
    }
}

/// The error of TLS inside one of the connection, which passes what it holds over when it is asked for
/// its source.
fn held_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(it) = next {
        if let Some(error) = it.downcast_ref() {
            return Some(error);
        }
        let outer = it.downcast_ref::<std::io::Error>();
        next = outer.and_then(|outer| Some(outer.get_ref()? as &(dyn Error + 'static)));
    }
    None
}

/// What is wrong with a certificate, where its owner can tell by that what to do.
fn of_tls(error: &rustls::Error) -> SendError {
    use rustls::CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return SendError::Tls;
    };
    match wrong {
        Wrong::Expired | Wrong::ExpiredContext { .. } => SendError::Expired,
        Wrong::UnknownIssuer => SendError::Untrusted,
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => SendError::OtherName,
        _ => SendError::Tls,
    }
}

/// Resolves names, and leaves out what is not public.
struct Guard {
    private: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            // The port is that of the address, which the caller puts in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(NoName)?;
            let good: Vec<SocketAddr> = found
                .filter(|it| may_be_reached(it.ip(), private))
                .collect();
            if good.is_empty() {
                return Err(Box::new(NotPublic) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_go_to_the_internet_and_by_tls_unless_the_operator_says_otherwise() {
        let checked = |url: &str, private| {
            let url = Url::parse(url).map_err(|_| SendError::Url);
            url.and_then(|url| destination(&url, private))
        };
        for (url, public, private) in [
            ("https://example.com/hook", Ok(()), Ok(())),
            ("http://example.com/hook", Err(SendError::Url), Ok(())),
            (
                "ftp://example.com/",
                Err(SendError::Url),
                Err(SendError::Url),
            ),
            (
                "https://user:pw@example.com/",
                Err(SendError::Url),
                Err(SendError::Url),
            ),
            (
                "https://example.com:0/",
                Err(SendError::Url),
                Err(SendError::Url),
            ),
            ("https://127.0.0.1/", Err(SendError::Refused), Ok(())),
            ("https://127.0.0.1./", Err(SendError::Refused), Ok(())),
            ("https://2130706433/", Err(SendError::Refused), Ok(())),
            ("https://0x7f.1/", Err(SendError::Refused), Ok(())),
            ("https://0177.0.0.1/", Err(SendError::Refused), Ok(())),
            ("https://10.1.2.3:8443/", Err(SendError::Refused), Ok(())),
            (
                "https://169.254.169.254/latest",
                Err(SendError::Refused),
                Err(SendError::Refused),
            ),
            (
                "http://[::ffff:169.254.169.254]/",
                Err(SendError::Url),
                Err(SendError::Refused),
            ),
            (
                "https://[64:ff9b::a9fe:a9fe]/",
                Err(SendError::Refused),
                Err(SendError::Refused),
            ),
            (
                "https://168.63.129.16/",
                Err(SendError::Refused),
                Err(SendError::Refused),
            ),
            ("https://[::1]/", Err(SendError::Refused), Ok(())),
            (
                "https://[::ffff:127.0.0.1]/",
                Err(SendError::Refused),
                Ok(()),
            ),
            ("https://[fd00::1]/", Err(SendError::Refused), Ok(())),
            ("https://1.1.1.1/", Ok(()), Ok(())),
        ] {
            assert_eq!(checked(url, false), public, "{url}");
            assert_eq!(checked(url, true), private, "{url}, private allowed");
        }
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said() {
        use rustls::CertificateError as Wrong;
        for (wrong, said) in [
            (Wrong::Expired, "certificate_expired"),
            (Wrong::UnknownIssuer, "certificate_untrusted"),
            (Wrong::NotValidForName, "certificate_of_another_name"),
            (Wrong::BadSignature, "tls_failed"),
        ] {
            let error = rustls::Error::InvalidCertificate(wrong);
            assert_eq!(of_tls(&error).to_string(), said);
        }
        assert_eq!(of_tls(&rustls::Error::DecryptError), SendError::Tls);
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused_when_it_is_used() {
        let sender = HookSender::new(false).unwrap();
        assert!(
            sender.check("https://localhost:1/").is_ok(),
            "a name is not resolved here"
        );
        let outgoing = Outgoing {
            url: "https://localhost:1/",
            id: "chg_1",
            seconds: 0,
            signature: String::new(),
            body: String::new(),
        };
        assert_eq!(sender.send(outgoing).await, Err(SendError::Refused));
    }
}
