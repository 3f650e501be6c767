//! Bodies that several operations share.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::validate;
use crate::http::field_errors::{FieldErrors, checked};
use crate::http::{ApiError, ValidJson};

/// The reason for an operation.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ReasonBody {
    /// A name for people. One line.
    #[schema(min_length = 1, max_length = 255, examples("asked for by mail"))]
    reason: Option<String>,
}

impl ReasonBody {
    pub(in crate::http) fn of(body: Option<ValidJson<Self>>) -> Result<Option<String>, ApiError> {
        let reason = body.and_then(|ValidJson(body)| body.reason);
        let mut field_errors = FieldErrors::default();
        let reason =
            reason.and_then(|it| field_errors.note(checked("reason", validate::line(&it))));
        field_errors.into_result()?;
        Ok(reason)
    }
}

/// An empty body, which may be left out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EmptyBody {}
