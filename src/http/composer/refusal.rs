//! How Composer is refused.
//!
//! Of an answer of 400 and above Composer prints what its body says under `warning`, if it is exactly
//! of the type `application/json` (2.5's `CurlDownloader`). So people learn why, whatever else fails.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use crate::domain::access::check::AccessCode;
use crate::http::access::{note_use, note_wrong};
use crate::http::access_answer::{headers_of, is_absent, status_of};
use crate::http::openapi::words;
use crate::http::{ApiError, AppState};
use crate::pipeline::composer::{ComposerError, Refused};

/// A refusal.
pub(super) enum Refusal {
    /// With words for whoever installs.
    Told(StatusCode, HeaderMap, RefusalView),
    /// Without.
    Problem(Box<ApiError>, HeaderMap),
}

/// Why something may not be had.
#[derive(Serialize, ToSchema)]
#[schema(as = ComposerRefusal)]
pub(super) struct RefusalView {
    /// The sentence that Composer prints.
    #[schema(examples("Your subscription does not cover acme/tool 2.0.0."))]
    warning: String,
    #[schema(schema_with = words::access_code)]
    code: AccessCode,
    customer_id: Option<String>,
    status: Option<&'static str>,
}

impl Refusal {
    /// A refusal with its words.
    pub(super) async fn of(state: &AppState, refused: Refused, caller: &Caller) -> Self {
        let Refused {
            code,
            warning,
            asker,
        } = refused;
        if let Some(asker) = &asker {
            note_use(state, asker, caller.now);
        }
        if caller.token.is_some() {
            note_wrong(state, caller.client, code).await;
        }
        let view = RefusalView {
            warning,
            code,
            status: asker.as_ref().map(|it| it.customer.derived.status.as_str()),
            customer_id: asker.map(|it| it.customer.id.into()),
        };
        let status = if is_absent(code) {
            StatusCode::NOT_FOUND
        } else {
            status_of(code)
        };
        Self::Told(status, headers_of(code), view)
    }

    /// The refusal of a package's metadata. What is not granted goes without words: Composer asks here
    /// for public packages too, and would print them for each.
    pub(super) async fn of_metadata(state: &AppState, refused: Refused, caller: &Caller) -> Self {
        let code = refused.code;
        match Self::of(state, refused, caller).await {
            Self::Told(StatusCode::NOT_FOUND, headers, _) => {
                let detail = "the package is not granted to this customer";
                let error = ApiError::not_found(code.as_str(), detail);
                Self::Problem(Box::new(error), headers)
            }
            told => told,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Told(status, headers, view) => (status, headers, Json(view)).into_response(),
            Self::Problem(error, headers) => (headers, *error).into_response(),
        }
    }
}

/// Nothing is there.
pub(super) fn not_found(detail: &'static str) -> Refusal {
    ApiError::not_found("not_found", detail).into()
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Problem(Box::new(error), HeaderMap::new())
    }
}

impl From<ComposerError> for Refusal {
    fn from(error: ComposerError) -> Self {
        ApiError::from(error).into()
    }
}
