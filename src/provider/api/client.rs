//! The client of the providers' APIs: time-outs, patience, and a pace below their limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::page::{list, path, read, read_one};
use super::answer::{ApiError, ApiPage, Fetched, Listed};
use crate::domain::id::Provider;
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;
use crate::provider::STRIPE;

/// The version in which Stripe writes its answers; the reader knows it from webhooks.
pub(super) const STRIPE_VERSION: &str = "2025-11-17.clover";

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest wait for an answer. Stripe gives up on its own after 80 seconds; pages take a second.
const TOTAL: Duration = Duration::from_secs(30);

/// The most that is read of an answer, in bytes: a hundred large objects are about a megabyte.
const LONGEST: usize = 32 << 20;

/// How often a question is asked before its asker is told.
const TRIES: u32 = 5;

/// The longest pause that is waited for here. Who has to wait longer does something else meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The time between two questions. Stripe allows 25 a second to each of its paths
/// (<https://docs.stripe.com/rate-limits>), Paddle 240 a minute to an address
/// (<https://developer.paddle.com/api-reference/about/rate-limiting>); others may be asking too.
fn pace(provider: Provider) -> Duration {
    if provider == STRIPE.name {
        Duration::from_millis(50)
    } else {
        Duration::from_millis(300)
    }
}

/// What is needed to ask a provider.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The key.
    pub key: SecretString,
    /// Another address than the provider's own.
    pub base: Option<Url>,
}

/// The API of a provider, with a key. Cheap to clone; clones share their pace.
#[derive(Clone, Debug)]
pub struct Api {
    provider: Provider,
    client: reqwest::Client,
    base: Url,
    key: SecretString,
    every: Duration,
    next: Arc<Mutex<Instant>>,
}

impl Api {
    /// Makes a client.
    ///
    /// # Errors
    /// When TLS cannot be set up or there is no address.
    pub fn new(provider: Provider, settings: ApiSettings) -> Result<Self, ApiError> {
        let failed = |detail: String| ApiError::Away {
            detail,
            retry_after: None,
        };
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            // A key is sent to the base and to nobody else.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let own = own_base(provider, &settings.key);
        let base = match settings.base {
            Some(base) => base,
            None => Url::parse(own).map_err(|error| failed(error.to_string()))?,
        };
        Ok(Self {
            provider,
            client,
            base,
            key: settings.key,
            every: pace(provider),
            next: Arc::new(Mutex::new(Instant::now())),
        })
    }

    /// Asks as often as this allows.
    #[must_use]
    pub fn every(mut self, pace: Duration) -> Self {
        self.every = pace;
        self
    }

    /// Whose API it is.
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// Whether the key is for live or for test data; `Any` if it does not say.
    /// <https://docs.stripe.com/keys>,
    /// <https://developer.paddle.com/api-reference/about/api-keys>
    pub fn mode(&self) -> Mode {
        mode_of(self.key.expose_secret())
    }

    /// Reads a page of a list: from the place at which another ended, or from its start.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn list(
        &self,
        what: Listed,
        since: Option<Timestamp>,
        cursor: Option<&str>,
    ) -> Result<ApiPage, ApiError> {
        let (path, query) = list(self.provider, what, since, cursor);
        let Answer { body, at, took } = self.ask(path, &query).await?;
        let (objects, next) = read(self.provider, &body)?;
        Ok(ApiPage {
            objects,
            next,
            at,
            took,
        })
    }

    /// Reads an object.
    ///
    /// # Errors
    /// See [`ApiError`]; [`ApiError::NotFound`] if there is none of this id.
    pub async fn get(&self, what: Listed, id: &str) -> Result<Fetched, ApiError> {
        let escaped = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
        let path = format!("{}/{escaped}", path(self.provider, what)).replace("%5F", "_");
        let Answer { body, at, .. } = self.ask(&path, &[]).await?;
        let object = read_one(self.provider, &body)?;
        Ok(Fetched { object, at })
    }

    async fn ask(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, ApiError> {
        let mut pauses = ExponentialBackoff {
            initial_interval: Duration::from_millis(500),
            max_interval: LONGEST_PAUSE,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let mut tries = 1;
        loop {
            let error = match self.ask_once(path, query).await {
                Err(error) if error.is_passing() && tries < TRIES => error,
                answer => return answer,
            };
            let wanted = match &error {
                ApiError::Away { retry_after, .. } => *retry_after,
                _ => None,
            };
            if wanted.is_some_and(|it| it > LONGEST_PAUSE) {
                return Err(error);
            }
            let pause = wanted.or_else(|| pauses.next_backoff());
            tokio::time::sleep(pause.unwrap_or(LONGEST_PAUSE)).await;
            tries += 1;
        }
    }

    async fn ask_once(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, ApiError> {
        self.turn().await;
        let url = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let mut request = self.client.get(url).query(query);
        request = request.bearer_auth(self.key.expose_secret());
        request = if self.provider == STRIPE.name {
            request.header("Stripe-Version", STRIPE_VERSION)
        } else {
            request.header("Paddle-Version", "1")
        };
        let away = |error: reqwest::Error| ApiError::Away {
            detail: crate::causes::chain(&error.without_url()),
            retry_after: None,
        };
        let began = Instant::now();
        let mut response = request.send().await.map_err(away)?;
        let took = began.elapsed();
        let status = response.status();
        let at = date(response.headers());
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(away)? {
            if body.len() + part.len() > LONGEST {
                let detail = "it is too long".to_owned();
                return Err(ApiError::NotUnderstood { detail });
            }
            body.extend_from_slice(&part);
        }
        if !status.is_success() {
            return Err(refusal(status, &body, retry_after));
        }
        let body = String::from_utf8(body).map_err(|_| ApiError::NotUnderstood {
            detail: "it is not UTF-8".to_owned(),
        })?;
        let at = at.ok_or_else(|| ApiError::NotUnderstood {
            detail: "it has no `Date`".to_owned(),
        })?;
        Ok(Answer { body, at, took })
    }

    /// Waits for the next turn to ask.
    async fn turn(&self) {
        let mut next = self.next.lock().await;
        tokio::time::sleep_until((*next).into()).await;
        *next = Instant::now() + self.every;
    }
}

struct Answer {
    body: String,
    at: Timestamp,
    took: Duration,
}

/// Tells the mode of a key by how it begins.
pub(super) fn mode_of(key: &str) -> Mode {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|it| key.starts_with(it));
    if begins(&["sk_live_", "rk_live_", "pdl_live_"]) {
        Mode::Live
    } else if begins(&["sk_test_", "rk_test_", "pdl_sdbx_"]) {
        Mode::Test
    } else {
        Mode::Any
    }
}

fn own_base(provider: Provider, key: &SecretString) -> &'static str {
    match (provider == STRIPE.name, mode_of(key.expose_secret())) {
        (true, _) => "https://api.stripe.com",
        (false, Mode::Test) => "https://sandbox-api.paddle.com",
        (false, Mode::Live | Mode::Any) => "https://api.paddle.com",
    }
}

fn refusal(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> ApiError {
    match status.as_u16() {
        status @ (401 | 403) => ApiError::KeyRefused {
            status,
            detail: said(body),
        },
        404 => ApiError::NotFound,
        429 | 500..=599 => ApiError::Away {
            detail: format!("it answered {status}"),
            retry_after,
        },
        _ => ApiError::NotUnderstood {
            detail: format!("it answered {status}: {}", said(body)),
        },
    }
}

/// What the provider says of an error: its code, which names no data and no key.
fn said(body: &[u8]) -> String {
    let said: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let word = said["error"]["code"].as_str();
    let word = word.or(said["error"]["type"].as_str()).unwrap_or("no code");
    word.chars().take(100).collect()
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Timestamp::from_seconds(at.timestamp())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_mode_by_its_beginning() {
        for (key, mode) in [
            ("sk_live_1", Mode::Live),
            ("rk_live_1", Mode::Live),
            ("sk_test_1", Mode::Test),
            ("rk_test_1", Mode::Test),
            ("pdl_live_apikey_1", Mode::Live),
            ("pdl_sdbx_apikey_1", Mode::Test),
            ("0123456789", Mode::Any),
        ] {
            assert_eq!(mode_of(key), mode, "{key}");
        }
    }

    #[test]
    fn refusals_are_told_apart_and_say_no_key() {
        let body = br#"{"error":{"type":"invalid_request_error","message":"Invalid API Key: sk_1"}}"#;
        let error = refusal(StatusCode::UNAUTHORIZED, body, None);
        assert_eq!(
            (error.code(), error.to_string().contains("sk_1")),
            ("api_key_refused", false)
        );
        for (status, code) in [
            (404, "object_gone"),
            (429, "provider_away"),
            (503, "provider_away"),
            (400, "answer_not_understood"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(status, b"", None).code(), code);
        }
    }
}
