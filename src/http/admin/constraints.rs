//! Trying out a constraint before it is granted.

use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::domain::constraint::{Constraint, Version};
use crate::domain::validate::FieldError;
use crate::http::{ApiError, AppState, Reading, ValidJson};

/// Most versions of one question.
const MAX_VERSIONS: usize = 10_000;

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/constraints/evaluate", post(evaluate))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluateBody {
    constraint: String,
    versions: Vec<String>,
}

#[derive(Serialize)]
struct EvaluateView {
    valid: bool,
    /// What the constraint means, in plain bounds.
    meaning: String,
    results: Vec<ResultView>,
}

#[derive(Serialize)]
struct ResultView {
    version: String,
    allowed: bool,
    /// Why the text is no version; such texts are never allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

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
