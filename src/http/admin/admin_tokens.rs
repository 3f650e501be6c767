//! Admin tokens. A token that is bound to one app sees and makes only tokens of that app.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::access::token::AdminToken;
use crate::domain::id::AppSlug;
use crate::domain::role::Role;
use crate::domain::validate::{self, FieldError};
use crate::http::api::list::{self, List, Paging, PagingQuery};
use crate::http::api::{order_of, time};
use crate::http::field_errors::{FieldErrors, checked};
use crate::http::location::Location;
use crate::http::openapi::{self, words};
use crate::http::reason::{ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::admin_tokens::{self, AdminTokenError, AdminTokenOrder, MAX_DAYS};
use crate::pipeline::apps::{self, AppError};
use crate::store::Store;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(revoke));
    openapi::resource("admin-tokens", "Tokens for this API.", routes)
}

fn token_not_found() -> ApiError {
    ApiError::not_found("token_not_found", "there is no such admin token")
}

/// The fault of a body that names an app which is not there.
fn no_app() -> FieldError {
    FieldError::new("app", "must be the slug of an app")
}

impl From<AdminTokenError> for ApiError {
    fn from(error: AdminTokenError) -> Self {
        match error {
            AdminTokenError::NoApp => Self::invalid(vec![no_app()]),
            AdminTokenError::NotFound => token_not_found(),
            AdminTokenError::TooMany(_) => {
                Self::conflict("admin_tokens_too_many", error.to_string())
            }
            AdminTokenError::Store(error) => error.into(),
            AdminTokenError::Random(error) => error.into(),
        }
    }
}

/// An admin token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminToken)]
struct AdminTokenView {
    #[schema(examples("atok_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    #[schema(examples("deploy script"))]
    name: String,
    #[schema(schema_with = words::role)]
    role: &'static str,
    app: Option<String>,
    prefix: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl From<AdminToken> for AdminTokenView {
    fn from(token: AdminToken) -> Self {
        Self {
            id: token.id.into(),
            name: token.name,
            role: token.role.as_str(),
            app: token.app.map(Into::into),
            prefix: token.prefix,
            created_at: token.created_at.to_string(),
            expires_at: time(token.expires_at),
            last_used_at: time(token.last_used_at),
        }
    }
}

/// Lists admin tokens.
#[utoipa::path(
    get,
    path = "/admin-tokens",
    params(PagingQuery),
    responses((status = 200, description = "Tokens, without their texts.", body = List<AdminTokenView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<AdminTokenView>>, ApiError> {
    let part = admin_tokens::list(&state.store, admin.app.as_ref(), &paging.window).await?;
    paging.answer(list::map(part, AdminTokenView::from))
}

/// A token to issue.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AdminTokenBody {
    /// A name for people. One line.
    #[schema(min_length = 1, max_length = 255, examples("deploy script"))]
    name: String,
    #[schema(schema_with = words::role)]
    role: String,
    /// The one app that it is good for; by default that of the token which makes it.
    #[schema(examples("default"))]
    app: Option<String>,
    /// The end of its life; without it, it never ends.
    #[schema(minimum = 1, maximum = 36525)]
    expires_in_days: Option<u32>,
}

/// The same, and why.
type AdminTokenWithReason = Reasoned<AdminTokenBody>;

/// A token that was just issued, with its text, which is shown only once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewAdminToken)]
struct NewAdminTokenView {
    #[serde(flatten)]
    view: AdminTokenView,
    /// The text of the token, which is shown only here.
    token: String,
}

/// Issues an admin token. Needs an owner.
#[utoipa::path(
    post,
    path = "/admin-tokens",
    request_body = AdminTokenWithReason,
    responses((status = 201, description = "The token, with its text.", body = NewAdminTokenView))
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(Reasoned { body, reason }): ValidJson<AdminTokenWithReason>,
) -> Result<(StatusCode, Location, Json<NewAdminTokenView>), ApiError> {
    admin.require(Role::Owner)?;
    let mut field_errors = FieldErrors::default();
    let name = field_errors.note(checked("name", validate::line(&body.name)));
    let role = body.role.parse::<Role>().map_err(|error| error.to_string());
    let role = field_errors.note(checked("role", role));
    let app = field_errors.note(bound_to(&state.store, &admin, body.app.as_deref()).await?);
    let expires_in_days = field_errors.note(days(body.expires_in_days));
    let (name, role) = field_errors.finish(name.zip(role))?;
    let wanted = AdminTokenOrder {
        name,
        role,
        app: app.flatten(),
        expires_in_days: expires_in_days.flatten(),
    };
    let order = order_of(&admin, &state).because(reason);
    let issued = admin_tokens::issue(&state.store, &order, wanted).await?;
    let location = Location::of(["admin-tokens"]);
    let token = NewAdminTokenView {
        view: issued.token.into(),
        token: issued.text.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, location, Json(token)))
}

/// The app that a new token is bound to: the one that is named, else that of the token which
/// makes it. The store's error outside, what is wrong with the field inside.
async fn bound_to(
    store: &Store,
    admin: &Admin,
    slug: Option<&str>,
) -> Result<Result<Option<AppSlug>, FieldError>, ApiError> {
    let Some(slug) = slug else {
        return Ok(Ok(admin.app.clone()));
    };
    let found = match slug.parse::<AppSlug>() {
        Ok(slug) if admin.may_see(&slug) => apps::find(store, &slug).await,
        Ok(_) | Err(_) => Err(AppError::NotFound),
    };
    match found {
        Ok(app) => Ok(Ok(Some(app.slug))),
        Err(AppError::NotFound) => Ok(Err(no_app())),
        Err(error) => Err(error.into()),
    }
}

fn days(days: Option<u32>) -> Result<Option<u32>, FieldError> {
    match days {
        None | Some(1..=MAX_DAYS) => Ok(days),
        Some(_) => {
            let message = format!("must be a number from 1 to {MAX_DAYS}");
            Err(FieldError::new("expires_in_days", message))
        }
    }
}

/// Revokes an admin token. Needs an owner.
#[utoipa::path(
    delete,
    path = "/admin-tokens/{id}",
    params(ReasonQuery),
    responses((status = 204, description = "Deleted."))
)]
async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<StatusCode, ApiError> {
    admin.require(Role::Owner)?;
    let id = id.parse().map_err(|_| token_not_found())?;
    let order = order_of(&admin, &state);
    admin_tokens::revoke(&state.store, &order, &id, admin.app.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}
