//! Webhook secrets of an app's endpoints. They are sealed when they come in and never shown.
//! Several can be current at once, so that a rotation loses no webhook.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::apps::visible_app;
use super::list::{List, Paging, PagingQuery};
use super::view::SecretView;
use super::{FieldErrors, checked, end, order_in};
use crate::domain::id::{AppSlug, Provider, SecretId};
use crate::domain::role::Role;
use crate::domain::validate;
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::provider::{Mode, Spec};
use crate::random;
use crate::store::Tx;
use crate::store::secret::EndpointSecret;
use crate::vault::SealedFor;

/// Most current secrets of one endpoint. A rotation needs two; every webhook, forged ones too, is
/// checked against each.
const MAX_SECRETS: usize = 16;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, add))
        .routes(routes!(change, remove));
    openapi::resource(
        "secrets",
        "What the webhooks of an app are signed with.",
        routes,
    )
}

/// The endpoint of a path, if the token may see it.
async fn visible_endpoint(
    tx: &mut Tx,
    admin: &Admin,
    slug: &str,
    provider: &str,
) -> Result<(AppSlug, Provider), ApiError> {
    let app = visible_app(tx, admin, slug).await?;
    let unknown = |_| ApiError::not_found("endpoint_not_found", "there is no such provider");
    let spec: &Spec = provider.parse().map_err(unknown)?;
    Ok((app.slug, spec.name))
}

fn secret_not_found() -> ApiError {
    ApiError::not_found("secret_not_found", "the endpoint has no such secret")
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
    let mut tx = state.store.read().await?;
    let (app, provider) = visible_endpoint(&mut tx, &admin, &slug, &provider).await?;
    let all = tx.secret_list(&app, provider).await?;
    let all: Vec<SecretView> = all.into_iter().map(SecretView::from).collect();
    Ok(paging.cut(all, |secret| secret.id.clone()))
}

/// A secret to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretBody {
    /// As the provider shows it.
    #[schema(value_type = String, min_length = 1, max_length = 255, examples("whsec_…"))]
    secret: SecretText,
    /// Which events it takes; `any` unless given.
    #[schema(schema_with = words::mode)]
    mode: Option<String>,
    /// When it ends; never unless given.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Wiped from memory when it is done with, and never printed.
#[derive(Deserialize)]
#[serde(from = "String")]
struct SecretText(SecretString);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// Adds a secret to an endpoint. Needs an owner.
///
/// Those that are there stay, so that a rotation loses no webhook.
#[utoipa::path(
    post,
    path = "/apps/{slug}/endpoints/{provider}/secrets",
    request_body = SecretBody,
    responses(
        (status = 201, description = "The secret, without its text.", body = SecretView),
        (status = 409, description = "`secrets_too_many`: remove one first."),
    )
)]
async fn add(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, provider)): ValidPath<(String, String)>,
    ValidJson(body): ValidJson<SecretBody>,
) -> Result<(StatusCode, Json<SecretView>), ApiError> {
    admin.require(Role::Owner)?;
    let now = state.clock.now();
    let mut field_errors = FieldErrors::default();
    let text = body.secret.0.expose_secret();
    field_errors.note(checked("secret", validate::line(text)));
    let mode = body.mode.map_or(Ok(Mode::Any), |word| word.parse());
    let mode = field_errors.note(checked("mode", mode.map_err(|error| error.to_string())));
    let expires_at = field_errors.note(end("expires_at", body.expires_at.as_deref(), now));
    field_errors.into_result()?;

    let mut tx = state.store.begin().await?;
    let (app, provider) = visible_endpoint(&mut tx, &admin, &slug, &provider).await?;
    let known = tx.secret_list(&app, provider).await?;
    let current = known
        .iter()
        .filter(|it| it.expires_at.is_none_or(|end| end > now));
    if current.count() >= MAX_SECRETS {
        let detail = format!("the endpoint has {MAX_SECRETS} current secrets; remove one first");
        return Err(ApiError::conflict("secrets_too_many", detail));
    }
    let order = order_in(&admin, &state, app.clone());
    let secret = EndpointSecret {
        id: SecretId::from_uuid(random::uuid(now)?),
        app,
        provider,
        mode: mode.unwrap_or_default(),
        created_at: now,
        expires_at: expires_at.flatten(),
        uses: 0,
        last_used_at: None,
    };
    let place = SealedFor::Secret {
        app: &secret.app,
        provider,
        id: &secret.id,
    };
    let sealed = state.vault.seal(place, text)?;
    tx.secret_add(&secret, sealed).await?;
    let details = json!({"id": secret.id, "from": null, "to": described(&secret)});
    order.audit(&mut tx, None, "secret_add", details).await?;
    tx.commit().await?;
    // If this fails it is logged there, and the next round of refreshing mends it.
    let _ = state.endpoints.refresh().await;
    Ok((StatusCode::CREATED, Json(secret.into())))
}

/// A secret for the audit, without the secret.
fn described(secret: &EndpointSecret) -> Value {
    let expires_at = secret.expires_at.map(|at| at.to_string());
    json!({"provider": secret.provider, "mode": secret.mode, "expires_at": expires_at})
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretEnd)]
struct EndBody {
    /// `null`: it does not run out.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Says when a secret runs out. Needs an owner. In a rotation the old one stays current until then,
/// beside the new one.
#[utoipa::path(
    patch,
    path = "/apps/{slug}/endpoints/{provider}/secrets/{id}",
    request_body = EndBody,
    responses((status = 200, description = "The secret.", body = SecretView))
)]
async fn change(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, provider, id)): ValidPath<(String, String, String)>,
    ValidJson(body): ValidJson<EndBody>,
) -> Result<Json<SecretView>, ApiError> {
    admin.require(Role::Owner)?;
    let now = state.clock.now();
    let mut field_errors = FieldErrors::default();
    let expires_at = field_errors.note(end("expires_at", body.expires_at.as_deref(), now));
    let expires_at = field_errors.finish(expires_at)?;
    let mut tx = state.store.begin().await?;
    let (app, provider) = visible_endpoint(&mut tx, &admin, &slug, &provider).await?;
    let all = tx.secret_list(&app, provider).await?;
    let known = all.into_iter().find(|it| it.id.as_str() == id);
    let known = known.ok_or_else(secret_not_found)?;
    tx.secret_expire(&known, expires_at).await?;
    let order = order_in(&admin, &state, app);
    let details = json!({
        "id": known.id, "provider": provider,
        "from": known.expires_at.map(|at| at.to_string()),
        "to": expires_at.map(|at| at.to_string()),
    });
    order.audit(&mut tx, None, "secret_expire", details).await?;
    tx.commit().await?;
    let _ = state.endpoints.refresh().await;
    let changed = EndpointSecret {
        expires_at,
        ..known
    };
    Ok(Json(changed.into()))
}

/// Removes a secret from an endpoint. Needs an owner.
#[utoipa::path(
    delete,
    path = "/apps/{slug}/endpoints/{provider}/secrets/{id}",
    responses((status = 204, description = "It is gone."))
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, provider, id)): ValidPath<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    admin.require(Role::Owner)?;
    let mut tx = state.store.begin().await?;
    let (app, provider) = visible_endpoint(&mut tx, &admin, &slug, &provider).await?;
    let id: SecretId = id.parse().map_err(|_| secret_not_found())?;
    let known = tx.secret_list(&app, provider).await?;
    let secret = known.iter().find(|secret| secret.id == id);
    let secret = secret.ok_or_else(secret_not_found)?;
    tx.secret_delete(&app, provider, &id).await?;
    let order = order_in(&admin, &state, app);
    let details = json!({"id": id, "from": described(secret), "to": null});
    order.audit(&mut tx, None, "secret_delete", details).await?;
    tx.commit().await?;
    let _ = state.endpoints.refresh().await;
    Ok(StatusCode::NO_CONTENT)
}
