//! The HTTP client with which commands post webhooks and call the API.

use std::error::Error;
use std::io;
use std::time::Duration;

/// Twice as long as Paddle waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A request failed.
#[derive(Debug, thiserror::Error)]
#[error("the request to {url} failed{hint}")]
pub struct RequestError {
    url: String,
    /// What is to be done about it, where that can be said.
    hint: &'static str,
    #[source]
    source: reqwest::Error,
}

impl RequestError {
    pub(crate) fn to(url: &str) -> impl FnOnce(reqwest::Error) -> Self {
        let url = url.to_owned();
        // Our own message names the address; the library would repeat it.
        move |source| Self {
            url,
            hint: hint(&source),
            source: source.without_url(),
        }
    }
}

/// What is to be done about an address where no server of ours answers.
fn hint(error: &reqwest::Error) -> &'static str {
    let mut cause = error.source();
    while let Some(this) = cause {
        if let Some(hint) = this.downcast_ref::<io::Error>().and_then(hint_of_io) {
            return hint;
        }
        cause = this.source();
    }
    ""
}

/// The same for what the system says, or a library in its words: these are no sources of it.
fn hint_of_io(error: &io::Error) -> Option<&'static str> {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return Some("; nothing listens there: start `tollgate serve`, or name its address");
    }
    let inner = error.get_ref()?;
    if let Some(rustls::Error::InvalidMessage(_)) = inner.downcast_ref() {
        return Some("; what listens there does not speak TLS: write http:// instead of https://");
    }
    inner.downcast_ref().and_then(hint_of_io)
}

/// Builds a client that gives up after ten seconds.
pub(crate) fn client() -> Result<reqwest::Client, RequestError> {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .build()
        .map_err(RequestError::to("any server"))
}
