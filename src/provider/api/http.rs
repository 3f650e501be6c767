//! Sends one request and reads its answer.

use std::time::{Duration, Instant};

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{RequestBuilder, StatusCode};

use super::error::ApiError;
use crate::domain::time::Timestamp;
use crate::retry_after::retry_after;

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest wait for an answer. Stripe gives up on its own after 80 seconds; pages take a second.
const TOTAL: Duration = Duration::from_secs(30);

/// The most that is read of an answer, in bytes: a hundred large objects are about a megabyte.
const LONGEST: usize = 32 << 20;

/// Builds a client for the providers' APIs. Connections are kept, which saves two round trips each.
pub(super) fn client() -> Result<reqwest::Client, ApiError> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
        // A key is sent to the base and to nobody else.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(away)
}

/// An answer with status 2xx.
#[derive(Debug)]
pub(super) struct Answer {
    /// The text.
    pub(super) body: String,
    /// The provider's clock.
    pub(super) at: Timestamp,
    /// The time until the answer began.
    pub(super) took: Duration,
}

/// Sends a request once.
pub(super) async fn send(request: RequestBuilder) -> Result<Answer, ApiError> {
    let began = Instant::now();
    let mut response = request.send().await.map_err(away)?;
    let took = began.elapsed();
    let status = response.status();
    let at = date(response.headers());
    let retry_after = retry_after(response.headers());
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(away)? {
        if body.len() + part.len() > LONGEST {
            return Err(ApiError::not_understood("it is too long"));
        }
        body.extend_from_slice(&part);
    }
    if !status.is_success() {
        return Err(refusal(status, &body, retry_after));
    }
    let body = String::from_utf8(body).map_err(|_| ApiError::not_understood("it is not UTF-8"))?;
    if !looks_like_json(&body) {
        return Err(ApiError::not_understood(OF_SOMEBODY_ELSE));
    }
    // Without it nobody knows how new the answer is.
    let at = at.ok_or_else(|| ApiError::not_understood("it has no `Date`"))?;
    Ok(Answer { body, at, took })
}

/// Said of answers that no API of a provider gives.
const OF_SOMEBODY_ELSE: &str = "it is no JSON, as of something else than the provider's API: look at \
    TOLLGATE_STRIPE_API_BASE or TOLLGATE_PADDLE_API_BASE, if it is set, and for a proxy in between";

/// Both APIs answer with objects alone.
fn looks_like_json(body: &str) -> bool {
    body.trim_start().starts_with('{')
}

fn away(error: reqwest::Error) -> ApiError {
    ApiError::Away {
        detail: crate::causes::chain(&error.without_url()),
        retry_after: None,
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
        // Neither API redirects.
        300..=399 => ApiError::not_understood(OF_SOMEBODY_ELSE),
        _ => ApiError::not_understood(format!("it answered {status}: {}", said(body))),
    }
}

/// What the provider says of an error: its code, which names no data and no key, and the permission that
/// a restricted key of Stripe lacks, which stands in the message beside both
/// (<https://docs.stripe.com/keys/restricted-api-keys>).
fn said(body: &[u8]) -> String {
    let said: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let word = said["error"]["code"].as_str();
    let word = word.or(said["error"]["type"].as_str()).unwrap_or("no code");
    let message = said["error"]["message"].as_str().unwrap_or_default();
    let mut words = message.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let permission = words.find(|it| it.starts_with("rak_"));
    let permission = permission.map_or_else(String::new, |it| format!(", it lacks {it}"));
    format!("{word}{permission}").chars().take(200).collect()
}

/// <https://www.rfc-editor.org/rfc/rfc9110#name-date>
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Timestamp::from_seconds(at.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_are_told_apart_and_say_no_key() {
        let body =
            br#"{"error":{"type":"invalid_request_error","message":"Invalid API Key: sk_1"}}"#;
        let error = refusal(StatusCode::UNAUTHORIZED, body, None);
        assert_eq!(
            (error.code(), error.to_string().contains("sk_1")),
            ("api_key_refused", false)
        );
        let body = json!({"error": {
            "code": "more_permissions_required",
            "message": "The provided key 'rk_live_*****abc' does not have the required permissions for \
                this endpoint on account 'acct_1'. Having the 'rak_dispute_read' permission would allow \
                this request to continue.",
        }});
        let body = body.to_string();
        let body = body.as_bytes();
        let error = refusal(StatusCode::FORBIDDEN, body, None).to_string();
        assert_eq!(
            error,
            "the API key was refused with 403: more_permissions_required, it lacks rak_dispute_read; \
             give it that permission in the provider's dashboard"
        );
        for (status, code, right) in [
            (401, "api_key_expired", "it has expired"),
            (401, "secret_key_required", "it is a publishable key"),
            (
                401,
                "invalid_request_error",
                "the provider does not know it",
            ),
            (403, "invalid_token", "is of the sandbox"),
            (
                403,
                "no_such_word",
                "look at it in the provider's dashboard",
            ),
            (403, "forbidden", "was revoked"),
        ] {
            let body = json!({"error": {"type": code}}).to_string();
            let status = StatusCode::from_u16(status).unwrap();
            let error = refusal(status, body.as_bytes(), None).to_string();
            assert!(error.contains(&format!("{code}; ")), "{error}");
            assert!(error.contains(right), "{error}");
        }
        for (status, code) in [
            (404, "object_gone"),
            (429, "provider_away"),
            (503, "provider_away"),
            (400, "answer_not_understood"),
            (302, "answer_not_understood"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(status, b"", None).code(), code);
        }
    }
}
