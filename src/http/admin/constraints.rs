//! Trying out a constraint before it is granted.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::access::versions::{Scheme, SchemeError};
use crate::domain::validate::FieldError;
use crate::http::openapi::{self, words};
use crate::http::{ApiError, AppState, Reading, ValidJson};
use crate::offload;

/// Most versions of one question.
const MAX_VERSIONS: usize = 10_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(evaluate));
    openapi::resource("constraints", "Trying out version constraints.", routes)
}

/// A constraint and the versions to try it on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EvaluateBody {
    /// A version constraint, as the scheme has it.
    #[schema(examples("^2.0"))]
    constraint: String,
    #[schema(max_items = 10_000, examples("2.1.0"))]
    versions: Vec<String>,
    /// How they are read: `composer`, the default, or `semver`.
    #[schema(schema_with = words::scheme)]
    scheme: Option<String>,
}

/// The versions that a constraint allows.
#[derive(Serialize, ToSchema)]
#[schema(as = Evaluation)]
struct EvaluateView {
    /// Always true: an invalid constraint is refused.
    valid: bool,
    /// How constraint and versions were read.
    #[schema(schema_with = words::scheme)]
    scheme: &'static str,
    /// The meaning of the constraint, in plain bounds; of a SemVer one, with all its operators.
    meaning: String,
    results: Vec<ResultView>,
}

/// The result for one version.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationResult)]
struct ResultView {
    version: String,
    allowed: bool,
    /// The reason why the text is not a version; such texts are never allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// Evaluates a constraint. A viewer is enough.
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
    let scheme: Result<Scheme, SchemeError> = body
        .scheme
        .as_deref()
        .map_or(Ok(Scheme::default()), str::parse);
    let scheme = scheme.map_err(|error| ApiError::invalid_field("scheme", error.to_string()))?;
    // A bound takes four bytes at least: `>1 `.
    let comparisons = body.versions.len() * (1 + body.constraint.len() / 4);
    offload::run(comparisons, move || evaluated(body, scheme))
        .await
        .map(Json)
}

fn evaluated(body: EvaluateBody, scheme: Scheme) -> Result<EvaluateView, ApiError> {
    let constraint = scheme.constraint(&body.constraint);
    let constraint = constraint.map_err(|error| ApiError::Invalid {
        code: "constraint_invalid",
        detail: "the constraint cannot be read".into(),
        errors: vec![FieldError::new("constraint", error.to_string())],
    })?;
    let result = |version: String| match scheme.version(&version) {
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
    Ok(EvaluateView {
        valid: true,
        scheme: scheme.as_str(),
        meaning: constraint.meaning(),
        results,
    })
}
