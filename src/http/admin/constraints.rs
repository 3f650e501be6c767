//! Trying out a constraint before it is granted.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::access::constraint::{Constraint, Version};
use crate::domain::validate::FieldError;
use crate::http::openapi;
use crate::http::{ApiError, AppState, Reading, ValidJson};

/// Most versions of one question.
const MAX_VERSIONS: usize = 10_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(evaluate));
    openapi::resource("constraints", "Composer's constraints, tried out.", routes)
}

/// What to try.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EvaluateBody {
    /// As Composer writes it.
    #[schema(examples("^2.0"))]
    constraint: String,
    #[schema(max_items = 10_000, examples("2.1.0"))]
    versions: Vec<String>,
}

/// What a constraint lets through.
#[derive(Serialize, ToSchema)]
#[schema(as = Evaluation)]
struct EvaluateView {
    /// True; a constraint that is not is refused.
    valid: bool,
    /// What the constraint means, in plain bounds.
    meaning: String,
    results: Vec<ResultView>,
}

/// What it says to one version.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationResult)]
struct ResultView {
    version: String,
    allowed: bool,
    /// Why the text is no version; such texts are never allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// Tells which versions a constraint lets through. A viewer is enough.
#[utoipa::path(
    post,
    path = "/constraints/evaluate",
    request_body = EvaluateBody,
    responses(
        (status = 200, description = "One result for each version.", body = EvaluateView),
        (status = 422, description = "`constraint_invalid`, with the reason, or `body_invalid`."),
    )
)]
async fn evaluate(
    _admin: Reading,
    ValidJson(body): ValidJson<EvaluateBody>,
) -> Result<Json<EvaluateView>, ApiError> {
    if body.versions.len() > MAX_VERSIONS {
        let message = format!("must be at most {MAX_VERSIONS} versions");
        return Err(ApiError::invalid_field("versions", message));
    }
    let constraint = Constraint::parse(&body.constraint).map_err(|error| ApiError::Invalid {
        code: "constraint_invalid",
        detail: "the constraint cannot be read".into(),
        errors: vec![FieldError::new("constraint", error.to_string())],
    })?;
    let result = |version: String| match Version::parse(&version) {
        Ok(parsed) => ResultView {
            version,
            allowed: constraint.allows(&parsed),
            error: None,
        },
        Err(error) => ResultView {
            version,
            allowed: false,
            error: Some(error.to_string()),
        },
    };
    let results = body.versions.into_iter().map(result).collect();
    Ok(Json(EvaluateView {
        valid: true,
        meaning: constraint.meaning(),
        results,
    }))
}
