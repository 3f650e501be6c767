//! Admin tokens. A token that is bound to one app sees and makes only tokens of that app.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{self, List, Paging, PagingQuery};
use super::view::AdminTokenView;
use super::{FieldErrors, checked, order_in, order_of};
use crate::domain::id::{AdminTokenId, AppSlug};
use crate::domain::role::Role;
use crate::domain::validate::{self, FieldError};
use crate::http::openapi::{self, words};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::tokens::{self, AdminTokenOrder, MAX_DAYS};
use crate::store::Tx;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(revoke));
    openapi::resource("admin-tokens", "Who may use this API.", routes)
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
    let mut tx = state.store.read().await?;
    let part = tx.admin_token_list(admin.app.as_ref(), &paging.0).await?;
    Ok(paging.answer(list::map(part, AdminTokenView::from)))
}

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AdminTokenBody {
    /// For people. One line.
    #[schema(min_length = 1, max_length = 255, examples("deploy script"))]
    name: String,
    #[schema(schema_with = words::role)]
    role: String,
    /// The one app that it is for; that of the asking token unless given.
    #[schema(examples("default"))]
    app: Option<String>,
    /// When it ends; never unless given.
    #[schema(minimum = 1, maximum = 3650)]
    expires_in_days: Option<u32>,
}

/// A token that was just made, with the one showing of its text.
#[derive(Serialize, ToSchema)]
#[schema(as = NewAdminToken)]
struct NewAdminTokenView {
    #[serde(flatten)]
    view: AdminTokenView,
    /// It is shown only here.
    token: String,
}

/// Makes an admin token. Needs an owner.
#[utoipa::path(
    post,
    path = "/admin-tokens",
    request_body = AdminTokenBody,
    responses((status = 201, description = "The token, with its text.", body = NewAdminTokenView))
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(body): ValidJson<AdminTokenBody>,
) -> Result<(StatusCode, Json<NewAdminTokenView>), ApiError> {
    admin.require(Role::Owner)?;
    let mut tx = state.store.begin().await?;
    let mut field_errors = FieldErrors::default();
    let name = field_errors.note(checked("name", validate::line(&body.name)));
    let role = body.role.parse::<Role>().map_err(|error| error.to_string());
    let role = field_errors.note(checked("role", role));
    let app = field_errors.note(bound_to(&mut tx, &admin, body.app.as_deref()).await?);
    let expires_in_days = field_errors.note(days(body.expires_in_days));
    let (name, role) = field_errors.finish(name.zip(role))?;
    let wanted = AdminTokenOrder {
        name,
        role,
        app: app.flatten(),
        expires_in_days: expires_in_days.flatten(),
    };
    let audited_in = wanted.app.clone().unwrap_or_else(AppSlug::default_app);
    let order = order_in(&admin, &state, audited_in);
    let (token, text) = tokens::issue_admin(&mut tx, &order, wanted).await?;
    tx.commit().await?;
    let token = NewAdminTokenView {
        view: token.into(),
        token: text.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(token)))
}

/// The app that a new token is bound to: the one that is named, else that of the token which
/// makes it. The store's error outside, what is wrong with the field inside.
async fn bound_to(
    tx: &mut Tx,
    admin: &Admin,
    slug: Option<&str>,
) -> Result<Result<Option<AppSlug>, FieldError>, ApiError> {
    let Some(slug) = slug else {
        return Ok(Ok(admin.app.clone()));
    };
    let found = match slug.parse::<AppSlug>() {
        Ok(slug) if admin.may_see(&slug) => tx.app_find(&slug).await?,
        Ok(_) | Err(_) => None,
    };
    let app = found.ok_or_else(|| FieldError::new("app", "must be the slug of an app"));
    Ok(app.map(|app| Some(app.slug)))
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

/// Ends an admin token. Needs an owner.
#[utoipa::path(
    delete,
    path = "/admin-tokens/{id}",
    responses((status = 204, description = "It is gone."))
)]
async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<StatusCode, ApiError> {
    admin.require(Role::Owner)?;
    let unknown = || ApiError::not_found("token_not_found", "there is no such admin token");
    let id: AdminTokenId = id.parse().map_err(|_| unknown())?;
    let mut tx = state.store.begin().await?;
    let order = order_of(&admin, &state);
    if !tokens::revoke_admin(&mut tx, order, &id, admin.app.as_ref()).await? {
        return Err(unknown());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
