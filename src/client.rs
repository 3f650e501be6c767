//! The HTTP client with which commands post webhooks and call the API.

use std::time::Duration;

/// Twice as long as Paddle waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A request failed.
#[derive(Debug, thiserror::Error)]
#[error("the request to {url} failed")]
pub struct RequestError {
    url: String,
    #[source]
    source: reqwest::Error,
}

impl RequestError {
    pub(crate) fn to(url: &str) -> impl FnOnce(reqwest::Error) -> Self {
        let url = url.to_owned();
        // Our own message names the address; the library would repeat it.
        move |source| Self {
            url,
            source: source.without_url(),
        }
    }
}

/// Builds a client that gives up after ten seconds.
pub(crate) fn client() -> Result<reqwest::Client, RequestError> {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .build()
        .map_err(RequestError::to("any server"))
}
