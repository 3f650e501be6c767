//! What the API says when it does not do what was asked.
//!
//! Every refusal is a problem document (RFC 9457, <https://www.rfc-editor.org/rfc/rfc9457>) with a
//! stable `code` for programs and a sentence for people. What the caller reads and what the log
//! holds are two things: a cause (the database's words, a panic) is logged once, here, and never
//! shown.
//!
//! The variants are the statuses, not the reasons: resources name their own codes, and the one
//! match from variant to status stays short enough to be read. `type` is left out, which means
//! `about:blank`: the code already identifies the problem, and a URL would have to be kept alive.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id;
use crate::causes::chain;
use crate::domain::validate::FieldError;
use crate::queue::QueueError;
use crate::store::StoreError;

/// When to come back after a 503. The store and the queue are tried again all the time, so the
/// next try may succeed as soon as they are back; endpoints are read anew every five seconds.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(5);

/// What lies behind an error. Logged, never shown.
pub type Cause = Box<dyn Error + Send + Sync>;

/// An answer that is not what was asked for.
///
/// `code` is a stable word in `snake_case`; `detail` is a sentence for the caller.
#[derive(Debug)]
pub enum ApiError {
    /// 400: the request cannot be read, such as a body that is not JSON.
    BadRequest {
        /// The stable code.
        code: &'static str,
        /// What is wrong.
        detail: Cow<'static, str>,
    },
    /// 401: no token, or none that opens anything.
    Unauthorized {
        /// The stable code.
        code: &'static str,
        /// What is wrong.
        detail: Cow<'static, str>,
    },
    /// 403: the token is known, and does not allow this.
    Forbidden {
        /// The stable code.
        code: &'static str,
        /// What is missing.
        detail: Cow<'static, str>,
    },
    /// 404: there is no such thing, or none that the token may see.
    NotFound {
        /// The stable code.
        code: &'static str,
        /// What there is not.
        detail: Cow<'static, str>,
    },
    /// 405: the path exists, with other methods.
    MethodNotAllowed,
    /// 408: the body took too long to arrive.
    BodyTooSlow,
    /// 409: what is there already does not allow it.
    Conflict {
        /// The stable code.
        code: &'static str,
        /// What stands in the way.
        detail: Cow<'static, str>,
    },
    /// 413: the body is larger than `limit` bytes.
    PayloadTooLarge {
        /// The greatest size, in bytes.
        limit: usize,
    },
    /// 415: the body is not said to be JSON.
    UnsupportedMediaType,
    /// 422: it can be read, and is wrong.
    Invalid {
        /// The stable code.
        code: &'static str,
        /// What is wrong, as a whole.
        detail: Cow<'static, str>,
        /// What is wrong, field by field.
        errors: Vec<FieldError>,
    },
    /// 429: too many failed tries from this address.
    TooManyFailures {
        /// When the next one is allowed.
        retry_after: Duration,
    },
    /// 500: we are at fault, and trying again will not help by itself.
    Internal {
        /// Why, for the log; `None` if it has been logged.
        cause: Option<Cause>,
    },
    /// 503: something that we need is away. The same request may succeed later.
    Unavailable {
        /// Why, for the log; `None` if it has been logged.
        cause: Option<Cause>,
    },
}

impl ApiError {
    /// 404 with a code of its own.
    pub fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::NotFound {
            code,
            detail: detail.into(),
        }
    }

    /// 409 with a code of its own.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Conflict {
            code,
            detail: detail.into(),
        }
    }

    /// 422 `body_invalid`, with what is wrong field by field.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self::Invalid {
            code: "body_invalid",
            detail: "the body has fields that are not right".into(),
            errors,
        }
    }

    /// 422 `body_invalid` because of one field.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(field, message)])
    }

    /// 422 `query_invalid`, with what is wrong parameter by parameter.
    pub fn invalid_query(errors: Vec<FieldError>) -> Self {
        Self::Invalid {
            code: "query_invalid",
            detail: "the query has parameters that are not right".into(),
            errors,
        }
    }

    /// 500 because of an error that should not have happened.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal {
            cause: Some(cause.into()),
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyFailures { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable code of the answer.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest { code, .. }
            | Self::Unauthorized { code, .. }
            | Self::Forbidden { code, .. }
            | Self::NotFound { code, .. }
            | Self::Conflict { code, .. }
            | Self::Invalid { code, .. } => code,
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooSlow => "body_too_slow",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::Internal { .. } => "internal",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// The sentence that the caller reads.
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::BadRequest { detail, .. }
            | Self::Unauthorized { detail, .. }
            | Self::Forbidden { detail, .. }
            | Self::NotFound { detail, .. }
            | Self::Conflict { detail, .. }
            | Self::Invalid { detail, .. } => detail.clone(),
            Self::MethodNotAllowed => "this path exists, but not with this method".into(),
            Self::BodyTooSlow => "the body took too long to arrive".into(),
            Self::PayloadTooLarge { limit } => {
                format!("the body is larger than {limit} bytes").into()
            }
            Self::UnsupportedMediaType => "the body must be of type application/json".into(),
            Self::TooManyFailures { .. } => "too many failures from this address".into(),
            Self::Internal { .. } => "something went wrong here; the log knows what".into(),
            Self::Unavailable { .. } => "something that is needed is away; try again later".into(),
        }
    }

    /// Takes the cause out, for whoever logs it in a line of its own.
    pub fn take_cause(&mut self) -> Option<Cause> {
        match self {
            Self::Internal { cause } | Self::Unavailable { cause } => cause.take(),
            Self::BadRequest { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::MethodNotAllowed
            | Self::BodyTooSlow
            | Self::Conflict { .. }
            | Self::PayloadTooLarge { .. }
            | Self::UnsupportedMediaType
            | Self::Invalid { .. }
            | Self::TooManyFailures { .. } => None,
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self {
            Self::Unauthorized { .. } => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooManyFailures { retry_after } => {
                headers.insert(RETRY_AFTER, whole_seconds(*retry_after));
            }
            Self::Unavailable { .. } => {
                headers.insert(RETRY_AFTER, whole_seconds(UNAVAILABLE_RETRY));
            }
            Self::BadRequest { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::MethodNotAllowed
            | Self::BodyTooSlow
            | Self::Conflict { .. }
            | Self::PayloadTooLarge { .. }
            | Self::UnsupportedMediaType
            | Self::Invalid { .. }
            | Self::Internal { .. } => {}
        }
        headers
    }
}

/// `Retry-After` has whole seconds; rounded up, so that who waits does not come too early.
fn whole_seconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}

/// A problem document, RFC 9457 section 3, with the members that are ours: `code`, `errors` and
/// `request_id`.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem<'a> {
    /// The status in words.
    #[schema(examples("Unprocessable Entity"))]
    title: &'a str,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, for programs: a word that stays.
    #[schema(examples("body_invalid"))]
    code: &'a str,
    /// What is wrong, for people.
    detail: &'a str,
    /// What is wrong with each field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemField<'a>>,
    /// Names the request in our log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ProblemField<'a> {
    /// The field, with its path: `packages[0].constraint`.
    field: &'a str,
    /// The end of a sentence about it: `must be …`.
    message: &'a str,
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        if let Some(cause) = self.take_cause() {
            log_cause(&self, cause.as_ref());
        }
        let status = self.status();
        let detail = self.detail();
        let errors = match &self {
            Self::Invalid { errors, .. } => errors.as_slice(),
            _ => &[],
        };
        let problem = Problem {
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: self.code(),
            detail: &detail,
            errors: errors
                .iter()
                .map(|error| ProblemField {
                    field: &error.field,
                    message: &error.message,
                })
                .collect(),
            request_id: request_id::request_id(),
        };
        // Texts and numbers always become JSON.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, self.headers(), body).into_response();
        let errors = errors.to_vec();
        response
            .extensions_mut()
            .insert(RefusalBody { detail, errors });
        response
    }
}

/// What a refusal says, beside its answer: for a dialect that says it in another form.
#[derive(Clone, Debug)]
pub(super) struct RefusalBody {
    /// The sentence that the caller reads.
    pub(super) detail: Cow<'static, str>,
    /// What is wrong, field by field.
    pub(super) errors: Vec<FieldError>,
}

/// What is away comes back by itself; everything else needs somebody.
fn log_cause(error: &ApiError, cause: &dyn Error) {
    let code = error.code();
    if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(
            error.code = code,
            error = chain(cause),
            "request refused: something that it needs is away"
        );
    } else {
        tracing::error!(error.code = code, error = chain(cause), "request failed");
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let passing = error.is_passing();
        let cause = Some(error.into());
        if passing {
            Self::Unavailable { cause }
        } else {
            Self::Internal { cause }
        }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Unavailable { .. } | QueueError::Closed => Self::Unavailable {
                cause: Some(error.into()),
            },
        }
    }
}
