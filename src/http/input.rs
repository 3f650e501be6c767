//! What a request says: its body, its query and its path, read or refused.
//!
//! axum's own extractors answer in plain text and mix up what design and programs tell apart:
//! 415 for a body that is not said to be JSON, 400 for one that is not JSON, 422 for JSON that
//! says something wrong, with the field by name.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri};
use futures::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::AppState;
use super::error::ApiError;
use super::limits;
use crate::domain::validate::FieldError;

/// Reads a whole body, within a size and a time.
///
/// # Errors
/// 413 when it is larger than `limit` bytes, 408 when it takes longer than `time`, 400
/// `body_incomplete` when the sender stops in the middle.
pub(super) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    time: Duration,
) -> Result<Vec<u8>, ApiError> {
    tokio::time::timeout(time, read_within(headers, body, limit))
        .await
        .unwrap_or(Err(ApiError::BodyTooSlow))
}

async fn read_within(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let too_large = ApiError::PayloadTooLarge { limit };
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        // Who asks before sending is told before sending, and so is who would send for long.
        let waits = headers.contains_key(EXPECT);
        if !waits && announced.is_some_and(|length| length <= limits::THROWN_AWAY) {
            throw_away(body.into_data_stream()).await;
        }
        return Err(too_large);
    }
    // The announced length is only the sender's word, so nothing is set aside for it.
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::BadRequest {
            code: "body_incomplete",
            detail: "the body ended before its end".into(),
        })?;
        if bytes.len() + chunk.len() > limit {
            throw_away(chunks).await;
            return Err(too_large);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads on without keeping anything; see [`limits::THROWN_AWAY`].
async fn throw_away(mut chunks: axum::body::BodyDataStream) {
    let mut left = limits::THROWN_AWAY;
    while let Some(Ok(chunk)) = chunks.next().await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            return;
        }
    }
}

/// A JSON body, read as `T`. As `Option<ValidJson<T>>` it may be missing.
///
/// Refuses with 415 `unsupported_media_type`, 400 `body_not_json` or 422 `body_invalid`; give `T`
/// `#[serde(deny_unknown_fields)]`, so that a misspelt field is named instead of ignored.
#[derive(Clone, Copy, Debug)]
pub struct ValidJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for ValidJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let time = state.settings.limits.body_time;
        let bytes = read_body(&parts.headers, body, limits::API_BODY, time).await?;
        parse_json(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> OptionalFromRequest<AppState> for ValidJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Option<Self>, ApiError> {
        let (parts, body) = request.into_parts();
        let time = state.settings.limits.body_time;
        let bytes = read_body(&parts.headers, body, limits::API_BODY, time).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if !is_json(&parts.headers) {
            return Err(ApiError::UnsupportedMediaType);
        }
        parse_json(&bytes).map(|value| Some(Self(value)))
    }
}

/// Whether the body is said to be JSON: `application/json`, or anything in `+json`.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let said = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let essence = said.split(|&byte| byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json"
        || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}

/// Reads JSON as `T`.
///
/// # Errors
/// 400 `body_not_json`; 422 `body_invalid` with the field.
pub(super) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // First whether all of it is JSON: a wrong field before a missing brace is not the caller's
    // first problem.
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| ApiError::BadRequest {
        code: "body_not_json",
        detail: format!("the body is not JSON: {error}").into(),
    })?;
    // A derived reader would take a list for an object, by position.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        let wrong = field_error(".", "the body must be a JSON object");
        return Err(ApiError::invalid(vec![wrong]));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        // serde_json ends with the place in the text, which says less than the path.
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(message, _)| message);
        ApiError::invalid(vec![field_error(&path, message)])
    })
}

/// A query string, read as `T`. Refuses with 422 `query_invalid`.
#[derive(Clone, Copy, Debug)]
pub struct ValidQuery<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for ValidQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        parse_query(&parts.uri).map(Self)
    }
}

fn parse_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let Query(query) = Query::try_from_uri(uri).map_err(|rejection| {
        // The source's words are `path: message`, or the message alone.
        let words = std::error::Error::source(&rejection)
            .map_or_else(|| rejection.body_text(), ToString::to_string);
        let (path, message) = words.split_once(": ").unwrap_or((".", &words));
        ApiError::invalid_query(vec![field_error(path, message)])
    })?;
    Ok(query)
}

/// The variable parts of a path, read as `T`. What does not read names nothing, so it is 404
/// `not_found`.
#[derive(Clone, Copy, Debug)]
pub struct ValidPath<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for ValidPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(_) => Err(ApiError::not_found("not_found", "there is no such thing")),
        }
    }
}

/// What serde says about a field whose name is in its words and not in its path, and what we say.
const NAMED: [(&str, &str); 3] = [
    ("missing field `", "is missing"),
    ("unknown field `", "is not known here"),
    ("duplicate field `", "is given twice"),
];

fn field_error(path: &str, message: &str) -> FieldError {
    let path = if path == "." { "" } else { path };
    let named = NAMED.iter().find_map(|(lead, said)| {
        let (name, _) = message.strip_prefix(lead)?.split_once('`')?;
        Some((name, said))
    });
    let Some((name, message)) = named else {
        return FieldError::new(if path.is_empty() { "body" } else { path }, message);
    };
    let last = path.rsplit('.').next().unwrap_or_default();
    let field = match path {
        "" => name.to_owned(),
        _ if last == name => path.to_owned(),
        _ => format!("{path}.{name}"),
    };
    FieldError::new(field, *message)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::domain::role::Role;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether they can be read matters")]
    struct Order {
        name: String,
        lines: Option<Vec<Line>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether they can be read matters")]
    struct Line {
        package: String,
        count: u8,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_by_field() {
        let cases = [
            ("", "body_not_json", None),
            ("{", "body_not_json", None),
            (r#"{"other": 1, "#, "body_not_json", None),
            (r#"{"name": "a"} x"#, "body_not_json", None),
            ("[]", "body_invalid", Some("body")),
            ("{}", "body_invalid", Some("name")),
            (r#"{"name": 1}"#, "body_invalid", Some("name")),
            (r#"{"name": "a", "nmae": 1}"#, "body_invalid", Some("nmae")),
            (
                r#"{"name": "a", "lines": [{"package": "p"}]}"#,
                "body_invalid",
                Some("lines[0].count"),
            ),
            (
                r#"{"name": "a", "lines": [{"package": "p", "count": 1, "x": 2}]}"#,
                "body_invalid",
                Some("lines[0].x"),
            ),
            (
                r#"{"name": "a", "lines": [{"package": "p", "count": 256}]}"#,
                "body_invalid",
                Some("lines[0].count"),
            ),
        ];
        for (body, code, field) in cases {
            let error = parse_json::<Order>(body.as_bytes()).unwrap_err();
            assert_eq!(error.code(), code, "{body}");
            let errors = match error {
                ApiError::Invalid { errors, .. } => errors,
                _ => Vec::new(),
            };
            let named = errors.first().map(|error| error.field.as_str());
            assert_eq!(named, field, "{body}");
            assert!(
                !errors.iter().any(|e| e.message.contains(" line ")),
                "{errors:?}"
            );
        }
        assert!(parse_json::<Order>(br#"{"name": "a"}"#).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_query_is_said_by_parameter() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only whether they can be read matters")]
        struct Page {
            page: Option<u32>,
            kind: Option<Role>,
        }
        let cases = [
            ("/", None),
            ("/?page=2&kind=owner", None),
            ("/?page=two", Some("page")),
            ("/?page=-1", Some("page")),
            ("/?kind=nobody", Some("kind")),
            ("/?pgae=2", Some("pgae")),
            ("/?page=1&page=2", Some("page")),
        ];
        for (uri, field) in cases {
            let read = parse_query::<Page>(&Uri::from_static(uri));
            let named = read.err().map(|error| match error {
                ApiError::Invalid {
                    code: "query_invalid",
                    errors,
                    ..
                } => errors[0].clone(),
                other => panic!("{uri}: {other:?}"),
            });
            let named = named.as_ref();
            assert_eq!(
                named.map(|error| error.field.as_str()),
                field,
                "{uri}: {named:?}"
            );
        }
    }

    #[test]
    fn json_is_told_from_other_types() {
        let cases = [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/json", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonx", false),
        ];
        for (said, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(said));
            assert_eq!(is_json(&headers), expected, "{said}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
