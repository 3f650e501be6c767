//! How a customer is deleted, as the query says.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::validate::FieldError;
use crate::http::ApiError;
use crate::http::field_errors::yes_or_no;
use crate::pipeline::customers::Deletion;

// A misspelt `soft` must not delete for good.
/// The query of a deletion.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct DeleteQuery {
    /// True to keep the customer's row, with `deleted_at` set.
    #[param(value_type = Option<bool>)]
    soft: Option<String>,
}

impl DeleteQuery {
    /// Returns what is meant; without the parameter for good.
    ///
    /// # Errors
    /// When `soft` is neither true nor false. A bare `?soft` is refused too: it may be meant as yes,
    /// and what is deleted for good does not come back.
    pub(in crate::http) fn deletion(&self) -> Result<Deletion, ApiError> {
        let soft = match self.soft.as_deref() {
            Some("") => Err(FieldError::new("soft", "must be true or false")),
            text => yes_or_no("soft", text),
        };
        let soft = soft.map_err(|error| ApiError::invalid_query(vec![error]))?;
        Ok(match soft {
            Some(true) => Deletion::Soft,
            Some(false) | None => Deletion::Permanent,
        })
    }
}
