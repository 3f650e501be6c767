//! Webhooks of an app's own, to which its changes are delivered.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::announcement;
use crate::domain::customer::profile::{Given, given};
use crate::domain::hook::{DisabledBecause, HookBody, HookStatus, MAX_KINDS};
use crate::domain::role::Role;
use crate::domain::validate;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::{order_in_path, problem, time, visible_app};
use crate::http::field_errors::{FieldErrors, checked, word_of};
use crate::http::location::Location;
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::hooks::{self, HookChange, HookError, HookWithSecret, NewHook};
use crate::store::hook::Hook;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(show, change, remove))
        .routes(routes!(rotate));
    openapi::resource(
        "hooks",
        "Webhooks of an app's own, to which its changes are delivered.",
        routes,
    )
}

/// How long the secret before signs too, in seconds: a day, unless something else is asked for.
const OVERLAP: u64 = 86_400;

/// The longest overlap: thirty days.
const LONGEST_OVERLAP: u64 = 30 * 86_400;

impl From<HookError> for ApiError {
    fn from(error: HookError) -> Self {
        match error {
            HookError::NoApp => problem::app_not_found(),
            HookError::NotFound => Self::not_found("hook_not_found", "the app has no such hook"),
            HookError::NoDelivery => {
                Self::not_found("delivery_not_found", "the hook has no such delivery")
            }
            HookError::Disabled => Self::conflict("hook_disabled", error.to_string()),
            HookError::TooMany => Self::conflict("hooks_too_many", error.to_string()),
            HookError::Store(error) => error.into(),
            HookError::Vault(error) => error.into(),
            HookError::Random(error) => error.into(),
        }
    }
}

/// A webhook of an app's own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hook)]
struct HookView {
    #[schema(examples("hook_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    #[schema(examples("default"))]
    app: String,
    /// Where deliveries go. Who is no owner sees the scheme and host alone: what follows may be a secret.
    #[schema(examples("https://acme.example/hooks/tollgate"))]
    url: String,
    /// The kinds of changes that are delivered, or their beginnings with `*` behind.
    #[schema(examples("customer.*"))]
    kinds: Vec<String>,
    /// `full`: with what changed; `thin`: kind, time and ids.
    #[schema(schema_with = words::hook_body)]
    body: &'static str,
    description: Option<String>,
    #[schema(schema_with = words::hook_status)]
    status: &'static str,
    /// Why it is disabled: `admin`; `failing`: nothing could be delivered for too long; `gone`: the
    /// receiver said 410.
    reason: Option<&'static str>,
    /// Since when nothing could be delivered; null if the last tries went well.
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<Hook> for HookView {
    fn from(hook: Hook) -> Self {
        Self {
            id: hook.id.into(),
            app: hook.app.into(),
            url: hook.url,
            kinds: hook.kinds,
            body: hook.body.as_str(),
            description: hook.description,
            status: hook.status.as_str(),
            reason: hook.reason.map(DisabledBecause::as_str),
            failing_since: time(hook.failing_since),
            created_at: hook.created_at.to_string(),
            updated_at: hook.updated_at.to_string(),
        }
    }
}

/// A webhook of an app's own, with its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = HookWithSecret)]
struct SecretHookView {
    #[serde(flatten)]
    hook: HookView,
    /// What deliveries are signed with, after Standard Webhooks. Shown only here.
    #[schema(examples("whsec_VEVTVE9OTFktVEVTVE9OTFktVEVTVE9OTFktMDAwMDA="))]
    secret: String,
}

impl From<HookWithSecret> for SecretHookView {
    fn from(made: HookWithSecret) -> Self {
        Self {
            hook: made.hook.into(),
            secret: made.secret.expose_secret().to_owned(),
        }
    }
}

/// Lists the hooks of an app.
#[utoipa::path(
    get,
    path = "/apps/{slug}/hooks",
    params(PagingQuery),
    responses((status = 200, description = "Hooks.", body = List<HookView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<HookView>>, ApiError> {
    let app = visible_app(&state, &admin, &slug).await?.slug;
    let all = hooks::list(&state.store, &app).await?;
    let position = |it: &Hook| std::cmp::Reverse(it.id.clone());
    paging.cut(all, position, |it| hooks::shown_to(admin.role, it).into())
}

/// Shows a hook.
#[utoipa::path(
    get,
    path = "/apps/{slug}/hooks/{id}",
    responses((status = 200, description = "The hook.", body = HookView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, id)): ValidPath<(String, String)>,
) -> Result<Json<HookView>, ApiError> {
    let app = visible_app(&state, &admin, &slug).await?.slug;
    let hook = hooks::find(&state.store, &app, &id).await?;
    Ok(Json(hooks::shown_to(admin.role, hook).into()))
}

/// A hook to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewHook)]
struct HookInput {
    /// Where deliveries go: an `https://` address that is not private.
    #[schema(max_length = 2_000, examples("https://acme.example/hooks/tollgate"))]
    url: String,
    /// The kinds of changes that are delivered, or their beginnings with `*` behind; everything, if
    /// nothing is said.
    #[schema(max_items = 50, examples("customer.*"))]
    kinds: Option<Vec<String>>,
    /// `full`, if nothing is said: with what changed; `thin`: kind, time and ids.
    #[schema(schema_with = words::hook_body)]
    body: Option<String>,
    /// What it is for.
    #[schema(min_length = 1, max_length = 255)]
    description: Option<String>,
}

/// The same, and why.
type HookWithReason = Reasoned<HookInput>;

fn url(text: &str, state: &AppState) -> Result<String, String> {
    let text = validate::web_address(text)?;
    state.hooks.check(&text)?;
    Ok(text)
}

fn kinds(wanted: &[String], field_errors: &mut FieldErrors) -> Vec<String> {
    if wanted.is_empty() || wanted.len() > MAX_KINDS {
        field_errors.add(
            "kinds",
            format!("must be 1 to {MAX_KINDS} kinds of changes"),
        );
        return Vec::new();
    }
    let each = wanted.iter().enumerate().filter_map(|(index, text)| {
        let field = format!("kinds[{index}]");
        field_errors.note(checked(&field, announcement::filter(text)))
    });
    each.collect()
}

/// Makes a hook. Needs an owner.
///
/// It is told of what changes from now on. Its secret is shown only here.
#[utoipa::path(
    post,
    path = "/apps/{slug}/hooks",
    request_body = HookWithReason,
    responses(
        (status = 201, description = "The hook, with its secret.", body = SecretHookView),
        (status = 409, description = "`hooks_too_many`: remove one first."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
    ValidJson(Reasoned { body, reason }): ValidJson<HookWithReason>,
) -> Result<(StatusCode, Location, Json<SecretHookView>), ApiError> {
    admin.require(Role::Owner)?;
    let mut field_errors = FieldErrors::default();
    let url = field_errors.note(checked("url", url(&body.url, &state)));
    let wanted = body.kinds.unwrap_or_else(|| vec!["*".to_owned()]);
    let kinds = kinds(&wanted, &mut field_errors);
    let form = field_errors.note(word_of::<HookBody>("body", body.body));
    let description = body.description.as_deref().map(validate::line).transpose();
    let description = field_errors.note(checked("description", description));
    let url = field_errors.finish(url)?;
    let order = order_in_path(&admin, &state, &slug).await?.because(reason);
    let new = NewHook {
        url,
        kinds,
        body: form.flatten().unwrap_or_default(),
        description: description.flatten(),
    };
    let made = hooks::create(&state.store, &state.vault, &order, new).await?;
    let place = ["apps", order.app.as_str(), "hooks", made.hook.id.as_str()];
    let location = Location::of(place);
    Ok((StatusCode::CREATED, location, Json(made.into())))
}

/// What is to be changed of a hook; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HookChange)]
struct HookChangeInput {
    /// Where deliveries go.
    #[schema(max_length = 2_000, examples("https://acme.example/hooks/tollgate"))]
    url: Option<String>,
    /// The kinds of changes that are delivered.
    #[schema(max_items = 50, examples("customer.*"))]
    kinds: Option<Vec<String>>,
    #[schema(schema_with = words::hook_body)]
    body: Option<String>,
    /// What it is for; null clears.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    description: Given<String>,
    /// `disabled`: nothing is delivered, and nothing new waits. What waits goes out when it is enabled
    /// again.
    #[schema(schema_with = words::hook_status)]
    status: Option<String>,
}

/// The same, and why.
type HookChangeWithReason = Reasoned<HookChangeInput>;

/// Changes a hook. Needs an owner.
#[utoipa::path(
    patch,
    path = "/apps/{slug}/hooks/{id}",
    request_body = HookChangeWithReason,
    responses((status = 200, description = "The hook.", body = HookView))
)]
async fn change(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, id)): ValidPath<(String, String)>,
    ValidJson(Reasoned { body, reason }): ValidJson<HookChangeWithReason>,
) -> Result<Json<HookView>, ApiError> {
    admin.require(Role::Owner)?;
    let mut field_errors = FieldErrors::default();
    let is_empty = body.url.is_none()
        && body.kinds.is_none()
        && body.body.is_none()
        && body.description.is_none()
        && body.status.is_none();
    if is_empty {
        field_errors.add("url", "is missing, and so is everything else");
    }
    let url = body.url.map(|text| url(&text, &state)).transpose();
    let url = field_errors.note(checked("url", url));
    let kinds = body.kinds.map(|it| kinds(&it, &mut field_errors));
    let form = field_errors.note(word_of::<HookBody>("body", body.body));
    let status = field_errors.note(word_of::<HookStatus>("status", body.status));
    let description = body
        .description
        .map(|it| it.map(|text| validate::line(&text)).transpose());
    let description = field_errors.note(checked("description", description.transpose()));
    field_errors.into_result()?;
    let order = order_in_path(&admin, &state, &slug).await?.because(reason);
    let wanted = HookChange {
        url: url.flatten(),
        kinds,
        body: form.flatten(),
        description: description.flatten(),
        status: status.flatten(),
    };
    let hook = hooks::change(&state.store, &order, &id, wanted).await?;
    Ok(Json(hook.into()))
}

/// Removes a hook, and what waits for it. Needs an owner.
#[utoipa::path(
    delete,
    path = "/apps/{slug}/hooks/{id}",
    params(ReasonQuery),
    responses((status = 204, description = "Deleted."))
)]
async fn remove(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, id)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    admin.require(Role::Owner)?;
    let order = order_in_path(&admin, &state, &slug).await?;
    hooks::remove(&state.store, &order, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a secret is to be replaced.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HookSecretRotation)]
struct RotationInput {
    /// For how many seconds the secret before signs too; a day, if nothing is said.
    #[schema(minimum = 0, maximum = 2_592_000, examples(86_400))]
    overlap_seconds: Option<u64>,
}

/// The same, and why.
type RotationWithReason = Reasoned<RotationInput>;

/// Gives a hook another secret. Needs an owner.
///
/// The one before signs too for some time, so that a receiver can take the new one when it suits. The
/// new one is shown only here.
#[utoipa::path(
    post,
    path = "/apps/{slug}/hooks/{id}/rotate-secret",
    request_body = Option<RotationWithReason>,
    responses((status = 200, description = "The hook, with its new secret.", body = SecretHookView))
)]
async fn rotate(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((slug, id)): ValidPath<(String, String)>,
    body: Option<ValidJson<RotationWithReason>>,
) -> Result<Json<SecretHookView>, ApiError> {
    admin.require(Role::Owner)?;
    let (wanted, reason) = Reasoned::parts_of(body);
    let overlap = wanted.overlap_seconds.unwrap_or(OVERLAP);
    if overlap > LONGEST_OVERLAP {
        let mut field_errors = FieldErrors::default();
        let message = format!("must be at most {LONGEST_OVERLAP}");
        field_errors.add("overlap_seconds", message);
        return Err(ApiError::invalid(field_errors.into_errors()));
    }
    let order = order_in_path(&admin, &state, &slug).await?.because(reason);
    let overlap = Duration::from_secs(overlap);
    let made = hooks::rotate_secret(&state.store, &state.vault, &order, &id, overlap).await?;
    Ok(Json(made.into()))
}
