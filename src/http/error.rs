//! Errors of the API.
//!
//! Every refusal is a problem document (RFC 9457, <https://www.rfc-editor.org/rfc/rfc9457>) with a
//! stable `code` for programs and a sentence for people. The log tells more than the caller sees: a
//! cause (a database error, a panic) is logged once, here, and never shown.
//!
//! The variants are statuses, not reasons: resources define their own codes, and the one match from
//! variant to status stays short. `type` is left out, which means `about:blank`: the code already
//! identifies the problem, and a URL would have to be maintained.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::problem_body::{Problem, ProblemField};
use super::{limits, request_id};
use crate::causes::chain;
use crate::domain::validate::FieldError;

/// `Retry-After` of a 503. The store and the queue are retried continuously, so the next try may
/// succeed as soon as they are back; endpoints are read again every five seconds.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(5);

/// The cause behind an error. Logged, never shown.
pub type Cause = Box<dyn Error + Send + Sync>;

/// A refused or failed request.
///
/// `code` is a stable word in `snake_case`; `detail` is a sentence for the caller.
#[derive(Debug)]
pub enum ApiError {
    /// 400: the request cannot be parsed, such as a body that is not JSON.
    BadRequest {
        /// The stable code.
        code: &'static str,
        /// The sentence for the caller.
        detail: Cow<'static, str>,
    },
    /// 401: there is no token, or an invalid one.
    Unauthorized {
        /// The stable code.
        code: &'static str,
        /// The sentence for the caller.
        detail: Cow<'static, str>,
    },
    /// 403: the token is valid but does not allow this.
    Forbidden {
        /// The stable code.
        code: &'static str,
        /// The sentence for the caller.
        detail: Cow<'static, str>,
    },
    /// 404: the object does not exist, or the token may not see it.
    NotFound {
        /// The stable code.
        code: &'static str,
        /// The sentence for the caller.
        detail: Cow<'static, str>,
    },
    /// 405: the path exists, but not with this method.
    MethodNotAllowed,
    /// 408: the body took too long to arrive.
    BodyTooSlow,
    /// 409: the current state does not allow it.
    Conflict {
        /// The stable code.
        code: &'static str,
        /// The sentence for the caller.
        detail: Cow<'static, str>,
    },
    /// 412: it is not, or not any more, in the state that the request is meant for.
    PreconditionFailed,
    /// 413: the body is larger than `limit` bytes.
    PayloadTooLarge {
        /// The maximum size, in bytes.
        limit: usize,
    },
    /// 414: the path and the query are longer than `limits::URI`.
    UriTooLong,
    /// 415: the body is not said to be JSON, or is compressed.
    UnsupportedMediaType,
    /// 422: the request can be parsed but is wrong.
    Invalid {
        /// The stable code.
        code: &'static str,
        /// The sentence for the caller about the whole request.
        detail: Cow<'static, str>,
        /// The errors of single fields.
        errors: Vec<FieldError>,
    },
    /// 429: there were too many failed attempts from this address.
    TooManyFailures {
        /// The time until the next attempt is allowed.
        retry_after: Duration,
    },
    /// 431: the headers are larger than `limits::HEADERS`.
    HeadersTooLarge,
    /// 500: the fault is ours, and retrying alone will not help.
    Internal {
        /// The cause, for the log; `None` if it has been logged.
        cause: Option<Cause>,
    },
    /// 503: the bodies under way fill the memory that is set aside for them.
    TooManyBodies,
    /// 503: this server is not set up to answer, and somebody must see to it.
    NotReady {
        /// The stable code.
        code: &'static str,
        /// The sentence for the caller.
        detail: Cow<'static, str>,
    },
    /// 503: a service that we need is away. The same request may succeed later.
    Unavailable {
        /// The cause, for the log; `None` if it has been logged.
        cause: Option<Cause>,
    },
}

impl ApiError {
    /// Makes a 404 with a code of its own.
    pub fn not_found(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::NotFound {
            code,
            detail: detail.into(),
        }
    }

    /// Makes a 409 with a code of its own.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Conflict {
            code,
            detail: detail.into(),
        }
    }

    /// Makes a 422 `body_invalid` with the errors of single fields.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self::Invalid {
            code: "body_invalid",
            detail: "the body has fields that are not right".into(),
            errors,
        }
    }

    /// Makes a 422 `body_invalid` for one field.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(field, message)])
    }

    /// Makes a 422 `query_invalid` with the errors of single parameters.
    pub fn invalid_query(errors: Vec<FieldError>) -> Self {
        Self::Invalid {
            code: "query_invalid",
            detail: "the query has parameters that are not right".into(),
            errors,
        }
    }

    /// Makes a 500 from an error that should not have happened.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal {
            cause: Some(cause.into()),
        }
    }

    /// Returns the status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyFailures { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TooManyBodies | Self::NotReady { .. } | Self::Unavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Returns the stable code of the answer.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest { code, .. }
            | Self::Unauthorized { code, .. }
            | Self::Forbidden { code, .. }
            | Self::NotFound { code, .. }
            | Self::Conflict { code, .. }
            | Self::Invalid { code, .. }
            | Self::NotReady { code, .. } => code,
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooSlow => "body_too_slow",
            Self::PreconditionFailed => "precondition_failed",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::UriTooLong => "uri_too_long",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Internal { .. } => "internal",
            Self::TooManyBodies => "too_many_bodies",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// Returns the sentence for the caller.
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Self::BadRequest { detail, .. }
            | Self::Unauthorized { detail, .. }
            | Self::Forbidden { detail, .. }
            | Self::NotFound { detail, .. }
            | Self::Conflict { detail, .. }
            | Self::Invalid { detail, .. }
            | Self::NotReady { detail, .. } => detail.clone(),
            Self::MethodNotAllowed => "this path exists, but not with this method".into(),
            Self::BodyTooSlow => "the body took too long to arrive".into(),
            Self::PreconditionFailed => {
                "its state is not the one that `If-Match` or `If-None-Match` asks for; read it again".into()
            }
            Self::PayloadTooLarge { limit } => {
                format!("the body is larger than {limit} bytes").into()
            }
            Self::UriTooLong => format!("the address has more than {} bytes", limits::URI).into(),
            Self::UnsupportedMediaType => {
                "the body must be of type application/json, and not compressed".into()
            }
            Self::TooManyFailures { .. } => "too many failures from this address".into(),
            Self::HeadersTooLarge => {
                format!("the headers have more than {} bytes", limits::HEADERS).into()
            }
            Self::Internal { .. } => "something went wrong here; the log knows what".into(),
            Self::TooManyBodies => "too many requests are being read; try again later".into(),
            Self::Unavailable { .. } => "something that is needed is away; try again later".into(),
        }
    }

    /// Takes the cause, for a caller that logs it in a line of its own.
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
            | Self::PreconditionFailed
            | Self::PayloadTooLarge { .. }
            | Self::UriTooLong
            | Self::UnsupportedMediaType
            | Self::Invalid { .. }
            | Self::TooManyFailures { .. }
            | Self::HeadersTooLarge
            | Self::TooManyBodies
            | Self::NotReady { .. } => None,
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
            Self::TooManyBodies | Self::NotReady { .. } | Self::Unavailable { .. } => {
                headers.insert(RETRY_AFTER, whole_seconds(UNAVAILABLE_RETRY));
            }
            Self::BadRequest { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::MethodNotAllowed
            | Self::BodyTooSlow
            | Self::Conflict { .. }
            | Self::PreconditionFailed
            | Self::PayloadTooLarge { .. }
            | Self::UriTooLong
            | Self::UnsupportedMediaType
            | Self::Invalid { .. }
            | Self::HeadersTooLarge
            | Self::Internal { .. } => {}
        }
        headers
    }
}

/// Formats `Retry-After` in whole seconds, rounded up, so that nobody comes too early.
fn whole_seconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
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
        // Strings and numbers can always be serialised.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, self.headers(), body).into_response();
        let refusal = RefusalBody {
            code: self.code(),
            errors: errors.to_vec(),
            detail,
        };
        response.extensions_mut().insert(refusal);
        response
    }
}

/// The content of a refusal, attached to its answer for dialects that render it in another form.
#[derive(Clone, Debug)]
pub(super) struct RefusalBody {
    /// The stable code.
    pub(super) code: &'static str,
    /// The sentence for the caller.
    pub(super) detail: Cow<'static, str>,
    /// The errors of single fields.
    pub(super) errors: Vec<FieldError>,
}

/// Logs a cause: as a warning if something is away, which comes back by itself, else as an error.
fn log_cause(error: &ApiError, cause: &dyn Error) {
    let code = error.code();
    if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(
            error.code = code,
            error = chain(cause),
            "request refused: a required service is away"
        );
    } else {
        tracing::error!(error.code = code, error = chain(cause), "request failed");
    }
}
