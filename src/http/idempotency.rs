//! `Idempotency-Key`: a POST of the admin API that is sent twice takes effect once.
//!
//! A sender that got no answer cannot know whether its request was carried out. With a key of its
//! choice in the header it may simply send the request again, as
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/> describes:
//!
//! | request with a known key | answer |
//! | --- | --- |
//! | the same request, finished | the first answer again, with `Idempotency-Replayed: true` |
//! | the same request, still running | 409 `idempotency_key_in_use`: retry in a second |
//! | another path, query, body, `Content-Type` or `If-Match` | 422 `idempotency_key_reused` |
//! | the same request, whose answer was lost in a crash after its changes were made | 409 `idempotency_answer_lost` |
//!
//! Bodies are the same if their JSON is: a sender that writes its request again may order names
//! otherwise, or leave out blanks.
//!
//! A key belongs to the token with which it was sent, so nobody sees the answers of others. Viewers
//! change nothing, so their keys are ignored. Answers are stored for a day, encrypted, since one
//! may contain a token. Answers with status 500 or above are not stored, and the same key then runs
//! the request again. Refusals below 500 are answers like any other.
//!
//! The guarantee: the changes of a request are made at most once, even if the process dies at any
//! point; see [`store::idempotency`](crate::store::idempotency). A request that has begun is
//! finished even if its sender hangs up. Refused: letting the second request wait for the first,
//! which would occupy connections for senders that have often given up already.

use std::collections::BTreeSet;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, IF_MATCH, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{ApiError, Cause};
use super::{AppState, auth, input, limits, named_app};
use crate::causes::chain;
use crate::domain::canonical_json::canonical_json;
use crate::domain::id::CustomerId;
use crate::domain::role::Role;
use crate::pipeline::apps::{self, AppError};
use crate::pipeline::idempotency::{self, ReserveError};
use crate::request_context;
use crate::store::idempotency::{Attempt, Reservation, on_behalf_of};
use crate::vault::SealedFor;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key, in bytes. A UUID has 36.
const MAX_KEY: usize = 255;

/// The layer around every POST of the admin API.
pub(super) async fn once(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if request.method() != Method::POST || !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let Some(admin) = auth::recognise(&parts, &state).await? else {
        // The handler refuses it with its own error.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    if !admin.role.allows(Role::Admin) {
        // A viewer changes nothing, so no answer is stored either.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    let key = key_of(&parts.headers)?;
    let time = state.settings.limits.body_time;
    let body = {
        // What reads it next accounts for it anew.
        let mut share = state.api_bodies().share();
        input::read_body(&parts.headers, body, limits::API_BODY, time, &mut share).await?
    };
    let id = digest(&[admin.actor.to_string().as_bytes(), key.as_bytes()]);
    let tenant = match named_app::of(&parts.uri) {
        None => String::new(),
        Some(slug) => match apps::find(&state.store, &slug).await {
            Ok(app) => app.created_at.nanos().to_string(),
            // The handler refuses it: an answer of a deleted tenant is nobody's.
            Err(AppError::NotFound) => {
                return Ok(next.run(Request::from_parts(parts, Body::from(body))).await);
            }
            Err(error) => return Err(error.into()),
        },
    };
    let fingerprint = fingerprint(&parts, &body, &tenant);
    let request = Request::from_parts(parts, Body::from(body));
    to_the_end(async move {
        let attempt = reserve(&state, &id, &fingerprint).await?;
        answer(state, id, attempt, request, next, is_kept).await
    })
    .await
}

/// Does work that begins with a reservation, also if the sender hangs up: a reservation that nobody runs or
/// gives back would hold the key for a minute.
pub(super) async fn to_the_end(
    work: impl Future<Output = Result<Response, ApiError>> + Send + 'static,
) -> Result<Response, ApiError> {
    // A panic has been reported already.
    let done = request_context::detach(work).await;
    done.unwrap_or(Err(ApiError::Internal { cause: None }))
}

/// Reserves a request. `id` names who asks and the key, `fingerprint` what is asked.
pub(super) async fn reserve(
    state: &AppState,
    id: &str,
    fingerprint: &str,
) -> Result<Attempt, ApiError> {
    let now = state.clock.now();
    Ok(idempotency::reserve(&state.store, id.to_owned(), fingerprint, now).await?)
}

/// Answers a request as its attempt to reserve it went: runs it, or repeats what was answered. Answers
/// whose status `is_kept` are.
pub(super) async fn answer(
    state: AppState,
    id: String,
    attempt: Attempt,
    request: Request,
    next: Next,
    is_kept: fn(StatusCode) -> bool,
) -> Result<Response, ApiError> {
    match attempt {
        Attempt::Reserved(reservation) => run(state, id, reservation, request, next, is_kept).await,
        Attempt::Answered(sealed) => replayed(&state, &id, &sealed),
        Attempt::Running => Ok(in_a_second(in_use())),
        Attempt::AnswerLost => Err(answer_lost()),
        Attempt::OtherRequest => Err(ApiError::Invalid {
            code: "idempotency_key_reused",
            detail: "this Idempotency-Key was used for another request".into(),
            errors: Vec::new(),
        }),
    }
}

/// What the sender may send again to run it anew is not kept.
fn is_kept(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

/// Reads the key of a request. The draft defines it as a quoted string; many senders omit the
/// quotes, and both mean the same.
fn key_of(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut sent = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (key, more) = (sent.next(), sent.next());
    let key = key
        .filter(|_| more.is_none())
        .and_then(|key| key.to_str().ok());
    let key = key.map(|key| {
        let quoted = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
        quoted.unwrap_or(key)
    });
    key.filter(|key| (1..=MAX_KEY).contains(&key.len()) && !key.contains('\t'))
        .map(str::to_owned)
        .ok_or_else(|| ApiError::BadRequest {
            code: "idempotency_key_invalid",
            detail: format!(
                "the Idempotency-Key must be one of 1 to {MAX_KEY} printable ASCII characters"
            )
            .into(),
        })
}

/// Hashes everything that tells a request from another one with the same key. `tenant` tells the app that it
/// names from an earlier one of the same slug.
fn fingerprint(parts: &Parts, body: &[u8], tenant: &str) -> String {
    let asked = parts.uri.path_and_query().map_or("", |it| it.as_str());
    let json = canonical_json(body);
    let body = json.as_deref().map_or(body, str::as_bytes);
    let method = parts.method.as_str().as_bytes();
    let tags = parts.headers.get_all(IF_MATCH).iter();
    let tags: Vec<&[u8]> = tags.map(HeaderValue::as_bytes).collect();
    let content_type = parts.headers.get(CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
    digest(&[
        method,
        asked.as_bytes(),
        body,
        &tags.join(&b','),
        content_type,
        tenant.as_bytes(),
    ])
}

/// Hashes texts with SHA-256, each with its length, so that none can run into the next.
pub(super) fn digest(texts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    hex::encode(hash.finalize())
}

impl From<ReserveError> for ApiError {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::Store(error) => error.into(),
            ReserveError::Random(error) => error.into(),
        }
    }
}

/// Runs a reserved request to its end, then keeps its answer or gives the key back.
///
/// The handler runs within [`on_behalf_of`]: every transaction that it commits marks the
/// reservation as having taken effect, without the handler or its use case knowing.
async fn run(
    state: AppState,
    id: String,
    reservation: Reservation,
    request: Request,
    next: Next,
    is_kept: fn(StatusCode) -> bool,
) -> Result<Response, ApiError> {
    let work = {
        let (state, reservation) = (state.clone(), reservation.clone());
        async move {
            let response = on_behalf_of(reservation.clone(), next.run(request)).await;
            keep_or_release(&state, &id, &reservation, response, is_kept).await
        }
    };
    // A task of its own, because this one ends when the sender hangs up.
    let Ok(answered) = request_context::detach(work).await else {
        // It panicked, which has been reported already.
        release(&state, &reservation).await;
        return Err(ApiError::Internal { cause: None });
    };
    answered
}

/// Keeps the answer, or gives the key back if there is none worth keeping.
async fn keep_or_release(
    state: &AppState,
    id: &str,
    reservation: &Reservation,
    response: Response,
    is_kept: fn(StatusCode) -> bool,
) -> Result<Response, ApiError> {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .map_err(ApiError::internal)?;
    let answer = Answer::of(parts.status, &parts.headers, &body);
    let answer = answer.filter(|_| is_kept(parts.status));
    match answer {
        Some(answer) => {
            if let Err(error) = store_answer(state, id, reservation, &answer).await {
                // The sender gets its answer now; a repetition is refused, and changes nothing.
                tracing::warn!(
                    error = chain(error.as_ref()),
                    "storing an answer for its Idempotency-Key failed"
                );
            }
        }
        None => release(state, reservation).await,
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

async fn store_answer(
    state: &AppState,
    id: &str,
    reservation: &Reservation,
    answer: &Answer,
) -> Result<(), Cause> {
    let text = serde_json::to_string(answer)?;
    let sealed = state.vault.seal(SealedFor::Answer { id }, &text)?;
    // Where it leads may name a customer that its body does not.
    let leads_to = answer.headers.iter().map(|(_, value)| value.as_str());
    let texts: Vec<&str> = leads_to.chain([answer.body.as_str()]).collect();
    let about = customers_in(&texts.join("\n"));
    Ok(idempotency::keep_answer(&state.store, reservation, sealed, &about).await?)
}

/// Finds the ids of customers in a text, each once.
fn customers_in(text: &str) -> String {
    let ids = text.match_indices("cust_").filter_map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|it: char| it != '_' && !it.is_ascii_alphanumeric());
        rest[..end.unwrap_or(rest.len())].parse().ok()
    });
    let ids: BTreeSet<CustomerId> = ids.collect();
    let ids: Vec<&str> = ids.iter().map(CustomerId::as_str).collect();
    ids.join(" ")
}

async fn release(state: &AppState, reservation: &Reservation) {
    let released = idempotency::release(&state.store, reservation, state.clock.now()).await;
    if let Err(error) = released {
        tracing::warn!(
            error = chain(&error),
            "releasing an Idempotency-Key failed; it becomes free in a minute"
        );
    }
}

fn replayed(state: &AppState, id: &str, sealed: &[u8]) -> Result<Response, ApiError> {
    // An answer that was encrypted with an earlier secret key is as good as lost.
    let text = state.vault.open(SealedFor::Answer { id }, sealed);
    let text = text.map_err(|_| answer_lost())?;
    let answer: Answer = serde_json::from_str(text.expose_secret()).map_err(ApiError::internal)?;
    Ok(answer.into_response())
}

pub(super) fn in_use() -> ApiError {
    ApiError::conflict(
        "idempotency_key_in_use",
        "the first request with this Idempotency-Key is still running",
    )
}

fn in_a_second(refusal: ApiError) -> Response {
    ([(RETRY_AFTER, HeaderValue::from_static("1"))], refusal).into_response()
}

fn answer_lost() -> ApiError {
    ApiError::conflict(
        "idempotency_answer_lost",
        "the first request with this Idempotency-Key took effect, and its answer was lost",
    )
}

/// A stored answer.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    /// Makes a stored answer; `None` if it is not text, or larger than any answer to a change.
    fn of(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Option<Self> {
        if body.len() > limits::API_BODY {
            return None;
        }
        let headers = headers
            .iter()
            .map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        Some(Self {
            status: status.as_u16(),
            headers: headers.collect::<Option<_>>()?,
            body: String::from_utf8(body.to_vec()).ok()?,
        })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        for (name, value) in self.headers {
            let header = (name.parse::<HeaderName>(), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = header {
                response.headers_mut().append(name, value);
            }
        }
        let replayed = HeaderValue::from_static("true");
        response
            .headers_mut()
            .insert(IDEMPOTENCY_REPLAYED, replayed);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_short_printable_text_with_or_without_quotes() {
        let long = "k".repeat(255);
        let quoted = format!("\"{long}\"");
        let too_long = "k".repeat(256);
        let cases: [(&str, &[&str], Option<&str>); 9] = [
            ("bare", &["8e03978e-40d5"], Some("8e03978e-40d5")),
            ("quoted", &["\"8e03978e-40d5\""], Some("8e03978e-40d5")),
            ("with a blank", &["order 7"], Some("order 7")),
            ("longest", &[&long], Some(&long)),
            ("longest, quoted", &[&quoted], Some(&long)),
            ("too long", &[&too_long], None),
            ("empty", &[""], None),
            ("empty quotes", &["\"\""], None),
            ("two", &["a", "a"], None),
        ];
        for (description, lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_str(line).unwrap());
            }
            let key = key_of(&headers);
            assert_eq!(key.ok().as_deref(), expected, "{description}");
        }
        let mut headers = HeaderMap::new();
        let opaque = HeaderValue::from_bytes(b"k\xff").unwrap();
        headers.append(IDEMPOTENCY_KEY, opaque);
        assert!(key_of(&headers).is_err(), "no ASCII");
    }

    #[test]
    fn the_customers_of_an_answer_are_found() {
        let one = "cust_01939f1bf0007cc8a4d0b1c2d3e4f506";
        let two = "cust_01939f1bf0007cc8a4d0b1c2d3e4f507";
        let body =
            format!(r#"{{"id":"{two}","by":"{one}","path":"/{one}/x","odd":"cust_ cust_1"}}"#);
        assert_eq!(customers_in(&body), format!("{one} {two}"));
        assert_eq!(customers_in("{}"), "");
    }

    #[test]
    fn texts_that_run_together_have_different_digests() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
    }
}
