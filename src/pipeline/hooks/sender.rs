//! Sends deliveries, to where hooks may go.
//!
//! Whoever may make a hook chooses where this machine connects to. So a name is resolved here, what may
//! not be reached is left out of the answer, and the connection is made to what is left: nothing is
//! resolved a second time, between the look and the use. An address in place of a name never reaches
//! a resolver, and is looked at before. Redirects are not followed, and no proxy is used, which would
//! resolve names by itself.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};

use super::destination::{Destinations, Unsuitable};
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
    destinations: Destinations,
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
    /// Makes one, which holds all certificates that the system trusts.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(destinations: Destinations) -> Result<Self, reqwest::Error> {
        tls::use_ring();
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(TIMEOUT)
            // A receiver that redirects is not the one that was named.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("Tollgate/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Guard(destinations)))
            .build()?;
        Ok(Self {
            client,
            destinations,
        })
    }

    /// Sends a delivery once.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, SendError> {
        let url = Url::parse(outgoing.url).map_err(|_| SendError::Url)?;
        self.destinations.check_url(&url)?;
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

impl From<Unsuitable> for SendError {
    fn from(unsuitable: Unsuitable) -> Self {
        match unsuitable {
            Unsuitable::Url => Self::Url,
            Unsuitable::Address => Self::Refused,
        }
    }
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

/// Resolves names, and leaves out what may not be reached.
struct Guard(Destinations);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let destinations = self.0;
        Box::pin(async move {
            // The port is that of the address, which the caller puts in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(NoName)?;
            let good: Vec<SocketAddr> = found.filter(|it| destinations.include(it.ip())).collect();
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
        let destinations = Destinations::new(false);
        assert!(
            destinations.check("https://localhost:1/").is_ok(),
            "a name is not resolved here"
        );
        let sender = HookSender::new(destinations).unwrap();
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
