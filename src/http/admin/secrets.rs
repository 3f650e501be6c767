//! Webhook secrets of an app's endpoints. They are sealed when they come in and never shown.
//! Several can be current at once, so that a rotation loses no webhook.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::id::{AppSlug, Provider};
use crate::domain::mode::Mode;
use crate::domain::pasted_secret::{self, SecretUse};
use crate::domain::role::Role;
use crate::domain::validate;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::{order_in, problem, time, visible_app};
use crate::http::field_errors::{FieldErrors, checked, end};
use crate::http::location::Location;
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::secrets::{self, KeyedSecret, NewSecret, SecretError};
use crate::provider::Spec;
use crate::vault::Vault;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, add))
        .routes(routes!(change, remove));
    openapi::resource(
        "secrets",
        "Secrets that the webhooks of an app are signed with.",
        routes,
    )
}

/// The endpoint of a path, if the token may see its app. An app that does not exist is said before
/// a provider that does not.
pub(super) async fn visible_endpoint(
    state: &AppState,
    admin: &Admin,
    slug: &str,
    provider: &str,
) -> Result<(AppSlug, Provider), ApiError> {
    let app = visible_app(state, admin, slug).await?.slug;
    if let Ok(spec) = provider.parse::<&Spec>() {
        return Ok((app, spec.name));
    }
    let detail = "there is no such provider";
    Err(ApiError::not_found("endpoint_not_found", detail))
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::NoApp => problem::app_not_found(),
            SecretError::NotFound => {
                Self::not_found("secret_not_found", "the endpoint has no such secret")
            }
            SecretError::Exists(_) => Self::conflict("secret_exists", error.to_string()),
            SecretError::TooMany => Self::conflict("secrets_too_many", error.to_string()),
            SecretError::Store(error) => error.into(),
            SecretError::Vault(error) => error.into(),
            SecretError::Random(error) => error.into(),
        }
    }
}

/// A webhook secret, without the secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookSecret)]
struct SecretView {
    #[schema(examples("whs_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    #[schema(examples("default"))]
    app: String,
    #[schema(schema_with = words::provider)]
    provider: Provider,
    #[schema(schema_with = words::mode)]
    mode: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The approximate number of webhooks it has verified.
    uses: i64,
    last_used_at: Option<String>,
    /// Of a secret of mode `any`: the time of the endpoint's first live event. From then on it
    /// counts as `live`; null before.
    #[schema(format = DateTime)]
    live_since: Option<String>,
    /// The id of the secret key that it is encrypted with at rest; null if what is stored is
    /// damaged.
    #[schema(examples("5ad1b7a2ce3c7b0d"))]
    key_id: Option<String>,
    /// `current`: encrypted with the first key of `TOLLGATE_SECRET_KEY`. `old`: with another one,
    /// which must stay until `tollgate rotate-key` has run. `unknown`: with a key that is not set,
    /// so that it verifies nothing.
    #[schema(schema_with = words::key_state)]
    key_state: &'static str,
}

impl SecretView {
    fn of(keyed: KeyedSecret, vault: &Vault) -> Self {
        let KeyedSecret { secret, key } = keyed;
        Self {
            id: secret.id.into(),
            app: secret.app.into(),
            provider: secret.provider,
            mode: secret.mode.as_str(),
            created_at: secret.created_at.to_string(),
            expires_at: time(secret.expires_at),
            uses: secret.uses,
            last_used_at: time(secret.last_used_at),
            live_since: time(secret.live_since.filter(|_| secret.mode == Mode::Any)),
            key_id: key.map(|key| key.to_string()),
            key_state: vault.state(key).as_str(),
        }
    }
}

/// Lists an endpoint's secrets, without their texts.
#[utoipa::path(
    get,
    path = "/apps/{slug}/endpoints/{provider}/secrets",
    params(PagingQuery),
    responses((status = 200, description = "Secrets.", body = List<SecretView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, provider)): ValidPath<(String, String)>,
    paging: Paging,
) -> Result<Json<List<SecretView>>, ApiError> {
    let (app, provider) = visible_endpoint(&state, &admin, &slug, &provider).await?;
    let all = secrets::list(&state.store, &app, provider).await?;
    let position = |it: &KeyedSecret| Reverse(it.secret.id.clone());
    paging.cut(all, position, |it| SecretView::of(it, &state.vault))
}

/// A secret to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretBody {
    /// The text of the secret, as the provider shows it.
    #[schema(value_type = String, min_length = 1, max_length = 255, examples("whsec_TESTONLY0123456789abcdef0123456789"))]
    secret: SecretText,
    /// The events that it accepts; `any` by default, which is `live` from the first live event on.
    #[schema(schema_with = words::mode)]
    mode: Option<String>,
    /// The end of its life; without it, it never ends.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// The same, and why.
type SecretWithReason = Reasoned<SecretBody>;

/// Wiped from memory when it is done with, and never printed.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct SecretText(pub(super) SecretString);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// Adds a secret to an endpoint. Needs an owner.
///
/// Existing secrets stay in force, so that a rotation loses no webhook.
#[utoipa::path(
    post,
    path = "/apps/{slug}/endpoints/{provider}/secrets",
    request_body = SecretWithReason,
    responses(
        (status = 201, description = "The secret, without its text.", body = SecretView),
        (status = 409, description = "`secret_exists`: the endpoint has it already, as `detail` says; `secrets_too_many`: remove one first."),
    )
)]
async fn add(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, provider)): ValidPath<(String, String)>,
    ValidJson(Reasoned { body, reason }): ValidJson<SecretWithReason>,
) -> Result<(StatusCode, Location, Json<SecretView>), ApiError> {
    admin.require(Role::Owner)?;
    let mut field_errors = FieldErrors::default();
    let text = body.secret.0;
    let form = validate::line(text.expose_secret());
    let form = form.and_then(|line| match provider.parse::<&Spec>() {
        Ok(spec) => pasted_secret::check(spec.name, SecretUse::Webhooks, &line),
        // What is said of an endpoint that does not exist comes later.
        Err(_) => Ok(()),
    });
    field_errors.note(checked("secret", form));
    let mode = body.mode.map_or(Ok(Mode::Any), |word| word.parse());
    let mode = field_errors.note(checked("mode", mode.map_err(|error| error.to_string())));
    let end = end("expires_at", body.expires_at.as_deref(), state.clock.now());
    let expires_at = field_errors.note(end);
    field_errors.into_result()?;
    let (app, provider) = visible_endpoint(&state, &admin, &slug, &provider).await?;
    let order = order_in(&admin, &state, app).because(reason);
    let new = NewSecret {
        text,
        mode: mode.unwrap_or_default(),
        expires_at: expires_at.flatten(),
    };
    let secret = secrets::add(&state.store, &state.vault, &order, provider, new).await?;
    // If this fails it is logged there, and the next round of refreshing mends it.
    let _ = state.endpoints.refresh().await;
    let endpoint = ["apps", order.app.as_str(), "endpoints", provider.as_str()];
    let location = Location::of(endpoint.into_iter().chain(["secrets"]));
    let view = SecretView::of(secret, &state.vault);
    Ok((StatusCode::CREATED, location, Json(view)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretEnd)]
struct EndBody {
    /// The end of its life; `null` if it never ends.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// The same, and why.
type EndWithReason = Reasoned<EndBody>;

/// Sets when a secret expires. Needs an owner.
///
/// In a rotation the old secret stays in force until then, beside the new one.
#[utoipa::path(
    patch,
    path = "/apps/{slug}/endpoints/{provider}/secrets/{id}",
    request_body = EndWithReason,
    responses((status = 200, description = "The secret.", body = SecretView))
)]
async fn change(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, provider, id)): ValidPath<(String, String, String)>,
    ValidJson(Reasoned { body, reason }): ValidJson<EndWithReason>,
) -> Result<Json<SecretView>, ApiError> {
    admin.require(Role::Owner)?;
    let now = state.clock.now();
    let mut field_errors = FieldErrors::default();
    let expires_at = field_errors.note(end("expires_at", body.expires_at.as_deref(), now));
    let expires_at = field_errors.finish(expires_at)?;
    let (app, provider) = visible_endpoint(&state, &admin, &slug, &provider).await?;
    let order = order_in(&admin, &state, app).because(reason);
    let changed = secrets::set_end(&state.store, &order, provider, &id, expires_at).await?;
    let _ = state.endpoints.refresh().await;
    Ok(Json(SecretView::of(changed, &state.vault)))
}

/// Removes a secret from an endpoint. Needs an owner.
#[utoipa::path(
    delete,
    path = "/apps/{slug}/endpoints/{provider}/secrets/{id}",
    params(ReasonQuery),
    responses((status = 204, description = "Deleted."))
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, provider, id)): ValidPath<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    admin.require(Role::Owner)?;
    let (app, provider) = visible_endpoint(&state, &admin, &slug, &provider).await?;
    let order = order_in(&admin, &state, app);
    secrets::remove(&state.store, &order, provider, &id).await?;
    let _ = state.endpoints.refresh().await;
    Ok(StatusCode::NO_CONTENT)
}
