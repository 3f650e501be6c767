//! Keys of the providers' APIs, for what events leave open. They are sealed when they come in and never
//! shown.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::secrets::{SecretText, visible_endpoint};
use crate::domain::id::Provider;
use crate::domain::pasted_secret::{self, SecretUse};
use crate::domain::role::Role;
use crate::domain::validate;
use crate::http::api::{order_in, problem};
use crate::http::field_errors::{FieldErrors, checked};
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::api_keys::{self, KeyError};
use crate::provider::Spec;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default().routes(routes!(put, remove));
    let about = "Keys with which the providers are asked about what events leave open.";
    openapi::resource("api_keys", about, routes)
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NoApp => problem::app_not_found(),
            KeyError::NotFound => Self::not_found("api_key_not_found", "the app has no such key"),
            KeyError::ReadOnly => Self::conflict("setting_read_only", error.to_string()),
            KeyError::OtherMode { .. } => {
                let mut field_errors = FieldErrors::default();
                field_errors.add("key", error.to_string());
                Self::invalid(field_errors.into_errors())
            }
            KeyError::Store(error) => error.into(),
            KeyError::Vault(error) => error.into(),
        }
    }
}

/// A key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewApiKey)]
struct KeyBody {
    /// The text of the key, as the provider shows it. One that only reads is enough.
    #[schema(value_type = String, min_length = 1, max_length = 255, examples("rk_live_TESTONLY0123456789abcdef"))]
    key: SecretText,
}

/// The same, and why.
type KeyWithReason = Reasoned<KeyBody>;

/// A key, without the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct KeyView {
    #[schema(examples("default"))]
    app: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    /// Whose data it opens; `any` if it does not say.
    #[schema(schema_with = words::mode)]
    mode: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    /// The id of the secret key that it is encrypted with at rest.
    #[schema(examples("5ad1b7a2ce3c7b0d"))]
    key_id: Option<String>,
}

/// Sets the key for a provider's API, in place of the one that is there. Needs an owner.
///
/// It is used for reading only: what events leave open is asked for.
#[utoipa::path(
    put,
    path = "/apps/{slug}/endpoints/{provider}/api-key",
    request_body = KeyWithReason,
    responses(
        (status = 200, description = "The key, without its text.", body = KeyView),
        (status = 409, description = "`setting_read_only`: the environment of the server says it."),
    )
)]
async fn put(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, provider)): ValidPath<(String, String)>,
    ValidJson(Reasoned { body, reason }): ValidJson<KeyWithReason>,
) -> Result<Json<KeyView>, ApiError> {
    admin.require(Role::Owner)?;
    let mut field_errors = FieldErrors::default();
    let text = body.key.0;
    let form = validate::line(text.expose_secret());
    let form = form.and_then(|line| match provider.parse::<&Spec>() {
        Ok(spec) => pasted_secret::check(spec.name, SecretUse::Api, &line),
        // What is said of an endpoint that does not exist comes later.
        Err(_) => Ok(()),
    });
    field_errors.note(checked("key", form));
    field_errors.into_result()?;
    let (app, provider) = visible_endpoint(&state, &admin, &slug, &provider).await?;
    let order = order_in(&admin, &state, app).because(reason);
    let key = api_keys::put(&state.store, &state.vault, &order, provider, &text).await?;
    Ok(Json(KeyView {
        app: order.app.into(),
        provider,
        mode: key.mode.as_str(),
        created_at: key.created_at.to_string(),
        key_id: key.sealed_with.map(|it| it.to_string()),
    }))
}

/// Removes the key for a provider's API. Needs an owner.
///
/// What waits to be asked with it is forgotten.
#[utoipa::path(
    delete,
    path = "/apps/{slug}/endpoints/{provider}/api-key",
    params(ReasonQuery),
    responses(
        (status = 204, description = "Deleted."),
        (status = 409, description = "`setting_read_only`: the environment of the server says it."),
    )
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, provider)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    admin.require(Role::Owner)?;
    let (app, provider) = visible_endpoint(&state, &admin, &slug, &provider).await?;
    let order = order_in(&admin, &state, app);
    api_keys::remove(&state.store, &order, provider).await?;
    Ok(StatusCode::NO_CONTENT)
}
