//! The body of a refusal.

use serde::Serialize;
use utoipa::ToSchema;

/// A problem document (RFC 9457 section 3) with the extension members `code`, `errors` and
/// `request_id`.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem<'a> {
    /// The name of the status.
    #[schema(examples("Unprocessable Entity"))]
    pub(super) title: &'a str,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    pub(super) status: u16,
    /// A stable code for programs.
    #[schema(examples("body_invalid"))]
    pub(super) code: &'a str,
    /// A sentence for people.
    pub(super) detail: &'a str,
    /// The errors of single fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<ProblemField<'a>>,
    /// The id of the request in our log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) request_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProblemField<'a> {
    /// The path of the field: `packages[0].constraint`.
    pub(super) field: &'a str,
    /// The end of a sentence about the field: `must be …`.
    pub(super) message: &'a str,
}
