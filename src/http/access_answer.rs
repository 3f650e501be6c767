//! The answer to an access check, as a body and as headers.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::openapi::words;
use crate::domain::access::check::AccessCode;
use crate::domain::access::refusal::{self, HeldMessage};
use crate::http::api::package::{PackageView, views_of};
use crate::pipeline::access::{Answer, Asker};
use crate::pipeline::access_checks::Checked;

const X_ALLOWED: HeaderName = HeaderName::from_static("x-tollgate-allowed");
const X_CODE: HeaderName = HeaderName::from_static("x-tollgate-code");
const X_CUSTOMER: HeaderName = HeaderName::from_static("x-tollgate-customer-id");
const X_WARNING: HeaderName = HeaderName::from_static("x-tollgate-warning");
const X_STATUS: HeaderName = HeaderName::from_static("x-tollgate-status");

/// The room for a body, in bytes. Only long names need more.
const BODY: usize = 512;
/// The room for headers, with those that each answer of the server gets.
const HEADERS: usize = 12;

/// The answer to an access check.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Access)]
pub(super) struct AccessAnswer {
    allowed: bool,
    #[schema(schema_with = words::access_code)]
    pub(super) code: AccessCode,
    app: Option<String>,
    customer_id: Option<String>,
    status: Option<&'static str>,
    package: Option<String>,
    version: Option<String>,
    /// The token's scope, a word for the registry.
    scope: Option<String>,
    /// Only for admins: what gives the customer this package now, each with its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    grants: Option<Vec<PackageView>>,
    /// Why not, in a sentence that Composer prints.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        nullable = false,
        examples("Your subscription does not cover acme/tool 2.0.0.")
    )]
    warning: Option<String>,
    /// The answer is passed on to a Composer that asks for metadata, and nothing is granted.
    #[serde(skip)]
    is_absent: bool,
}

impl AccessAnswer {
    pub(super) fn nobody() -> Self {
        Self {
            allowed: false,
            code: AccessCode::TokenUnknown,
            app: None,
            customer_id: None,
            status: None,
            package: None,
            version: None,
            scope: None,
            grants: None,
            warning: Some(refusal::sentence(
                AccessCode::TokenUnknown,
                HeldMessage::default(),
                None,
                None,
            )),
            is_absent: false,
        }
    }

    pub(super) fn of(code: AccessCode, asker: Asker) -> Self {
        Self {
            allowed: code.is_allowed(),
            code,
            app: Some(asker.app.into()),
            status: Some(asker.customer.derived.status.as_str()),
            customer_id: Some(asker.customer.id.into()),
            package: None,
            version: None,
            scope: asker.token.map(|token| token.scope),
            grants: None,
            warning: None,
            is_absent: false,
        }
    }

    /// The answer for an admin, who is told where each grant comes from.
    pub(super) fn for_admin(mut answer: Answer) -> Self {
        let live = std::mem::take(&mut answer.grants);
        let grants = Some(views_of(live));
        Self {
            grants,
            ..Self::from(answer)
        }
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = headers_of(self.code);
        headers.reserve(HEADERS);
        let allowed = if self.allowed { "true" } else { "false" };
        headers.insert(X_ALLOWED, HeaderValue::from_static(allowed));
        if let Some(id) = self
            .customer_id
            .as_ref()
            .and_then(|id| HeaderValue::from_str(id).ok())
        {
            headers.insert(X_CUSTOMER, id);
        }
        if let Some(status) = self.status {
            headers.insert(X_STATUS, HeaderValue::from_static(status));
        }
        let warning = self.warning.as_deref().map(refusal::quotable);
        if let Some(warning) = warning.and_then(|it| HeaderValue::from_str(&it).ok()) {
            headers.insert(X_WARNING, warning);
        }
        headers
    }

    /// The same with the sentence for whoever installs.
    pub(super) fn warned(self, warning: Option<String>) -> Self {
        Self { warning, ..self }
    }

    /// The answer as Composer must have it where it asks for metadata and gets this itself: 404 for
    /// what is not granted, so that it looks for a public package elsewhere, and without words, which
    /// it would print for each.
    pub(super) fn for_metadata(self) -> Self {
        let is_absent = is_absent(self.code);
        Self {
            warning: self.warning.filter(|_| !is_absent),
            is_absent,
            ..self
        }
    }
}

impl From<Answer> for AccessAnswer {
    fn from(answer: Answer) -> Self {
        Self {
            package: Some(answer.package),
            version: answer.version,
            warning: answer.warning,
            ..Self::of(answer.code, answer.asker)
        }
    }
}

impl From<Checked> for AccessAnswer {
    fn from(checked: Checked) -> Self {
        let subject = checked.subject;
        Self {
            allowed: checked.code.is_allowed(),
            code: checked.code,
            app: Some(subject.app.to_string()),
            customer_id: Some(subject.customer.to_string()),
            status: Some(subject.status.as_str()),
            package: Some(checked.package),
            version: checked.version,
            scope: Some(subject.token.scope.clone()),
            grants: None,
            warning: checked.warning,
            is_absent: false,
        }
    }
}

impl IntoResponse for AccessAnswer {
    fn into_response(self) -> Response {
        let status = if self.is_absent {
            StatusCode::NOT_FOUND
        } else {
            status_of(self.code)
        };
        // Written into room for all of it: `Json` begins with less, and a check is asked for each download.
        let mut body = Vec::with_capacity(BODY);
        if let Err(error) = serde_json::to_writer(&mut body, &self) {
            return ApiError::internal(error).into_response();
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = self.headers();
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

/// The headers of every answer with this code.
pub(super) fn headers_of(code: AccessCode) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(X_CODE, HeaderValue::from_static(code.as_str()));
    if status_of(code) == StatusCode::UNAUTHORIZED {
        // Makes Composer and curl ask for credentials, or send those they have.
        let challenge = HeaderValue::from_static("Basic realm=\"Tollgate\"");
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    headers
}

/// The status of an answer with this code.
pub(super) const fn status_of(code: AccessCode) -> StatusCode {
    match code {
        AccessCode::Ok => StatusCode::OK,
        AccessCode::TokenUnknown | AccessCode::TokenExpired => StatusCode::UNAUTHORIZED,
        AccessCode::TokenScope
        | AccessCode::PackageNotGranted
        | AccessCode::VersionNotAllowed
        | AccessCode::CustomerSuspended
        | AccessCode::CustomerExpired
        | AccessCode::VersionNotFrozen => StatusCode::FORBIDDEN,
    }
}

/// True if Composer is told that there is no such package, so that it looks for a public one elsewhere.
pub(super) const fn is_absent(code: AccessCode) -> bool {
    match code {
        AccessCode::PackageNotGranted | AccessCode::TokenScope => true,
        AccessCode::Ok
        | AccessCode::TokenUnknown
        | AccessCode::TokenExpired
        | AccessCode::VersionNotAllowed
        | AccessCode::CustomerSuspended
        | AccessCode::CustomerExpired
        | AccessCode::VersionNotFrozen => false,
    }
}
