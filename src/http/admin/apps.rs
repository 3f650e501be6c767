//! Apps: the tenants.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{List, Paging, PagingQuery};
use super::view::AppView;
use super::{FieldErrors, checked, order_in};
use crate::domain::id::AppSlug;
use crate::domain::policy::Policy;
use crate::domain::role::Role;
use crate::domain::validate;
use crate::http::openapi;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::store::{App, Tx};

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(show, rename, delete));
    openapi::resource("apps", "Tenants.", routes)
}

pub(in crate::http) fn app_not_found() -> ApiError {
    ApiError::not_found("app_not_found", "there is no such app")
}

/// The app of a path, if the token may see it.
pub(in crate::http) async fn visible_app(
    tx: &mut Tx,
    admin: &Admin,
    slug: &str,
) -> Result<App, ApiError> {
    let slug: AppSlug = slug.parse().map_err(|_| app_not_found())?;
    if !admin.may_see(&slug) {
        return Err(app_not_found());
    }
    tx.app_find(&slug).await?.ok_or_else(app_not_found)
}

/// Lists the apps that the token may see.
#[utoipa::path(
    get,
    path = "/apps",
    params(PagingQuery),
    responses((status = 200, description = "Apps.", body = List<AppView>))
)]
async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<AppView>>, ApiError> {
    let mut all = state.store.read().await?.app_list().await?;
    all.retain(|app| admin.may_see(&app.slug));
    let all: Vec<AppView> = all.into_iter().map(AppView::from).collect();
    Ok(paging.cut(all, |app| app.slug.clone()))
}

/// Shows an app.
#[utoipa::path(
    get,
    path = "/apps/{slug}",
    responses((status = 200, description = "The app.", body = AppView))
)]
async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
) -> Result<Json<AppView>, ApiError> {
    let mut tx = state.store.read().await?;
    Ok(Json(visible_app(&mut tx, &admin, &slug).await?.into()))
}

/// An app to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AppBody {
    /// Names the app in paths, for ever.
    #[schema(examples("acme"))]
    slug: String,
    /// For people. One line.
    #[schema(min_length = 1, max_length = 255, examples("Acme Inc"))]
    name: String,
}

/// Makes an app. Needs an owner of all apps.
#[utoipa::path(
    post,
    path = "/apps",
    request_body = AppBody,
    responses(
        (status = 201, description = "The app.", body = AppView),
        (status = 409, description = "`app_exists`: there is one of this slug."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(body): ValidJson<AppBody>,
) -> Result<(StatusCode, Json<AppView>), ApiError> {
    admin.require(Role::Owner)?;
    if admin.app.is_some() {
        return Err(ApiError::Forbidden {
            code: "token_bound",
            detail: "the token is bound to one app and can make no other".into(),
        });
    }
    let mut field_errors = FieldErrors::default();
    let slug = body
        .slug
        .parse::<AppSlug>()
        .map_err(|error| error.to_string());
    let slug = field_errors.note(checked("slug", slug));
    let name = field_errors.note(checked("name", validate::line(&body.name)));
    let (slug, name) = field_errors.finish(slug.zip(name))?;
    let order = order_in(&admin, &state, slug.clone());
    let app = App {
        slug,
        name,
        policy: Policy::default(),
        created_at: order.now,
    };
    let mut tx = state.store.begin().await?;
    if !tx.app_add(&app).await? {
        return Err(ApiError::conflict(
            "app_exists",
            "there is an app of this slug",
        ));
    }
    let details = json!({"slug": app.slug, "from": null, "to": app.name});
    order.audit(&mut tx, None, "app_create", details).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(app.into())))
}

/// A new name of an app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NameBody {
    /// For people. One line.
    #[schema(min_length = 1, max_length = 255, examples("Acme Inc"))]
    name: String,
}

/// Renames an app. Needs an owner.
#[utoipa::path(
    patch,
    path = "/apps/{slug}",
    request_body = NameBody,
    responses((status = 200, description = "The app.", body = AppView))
)]
async fn rename(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
    ValidJson(body): ValidJson<NameBody>,
) -> Result<Json<AppView>, ApiError> {
    admin.require(Role::Owner)?;
    let name = checked("name", validate::line(&body.name));
    let name = name.map_err(|fault| ApiError::invalid(vec![fault]))?;
    let mut tx = state.store.begin().await?;
    let app = visible_app(&mut tx, &admin, &slug).await?;
    tx.app_rename(&app.slug, &name).await?;
    let order = order_in(&admin, &state, app.slug.clone());
    let details = json!({"from": app.name, "to": name});
    order.audit(&mut tx, None, "app_rename", details).await?;
    tx.commit().await?;
    Ok(Json(App { name, ..app }.into()))
}

/// Deletes an app with all that is in it. Needs an owner.
#[utoipa::path(
    delete,
    path = "/apps/{slug}",
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "`app_default`: this one always exists."),
    )
)]
async fn delete(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
) -> Result<StatusCode, ApiError> {
    admin.require(Role::Owner)?;
    let mut tx = state.store.begin().await?;
    let app = visible_app(&mut tx, &admin, &slug).await?;
    if app.slug == AppSlug::default_app() {
        return Err(ApiError::conflict(
            "app_default",
            "the app `default` always exists",
        ));
    }
    tx.app_delete(&app.slug).await?;
    // The app's own audit goes with it.
    let order = order_in(&admin, &state, AppSlug::default_app());
    let details = json!({"slug": app.slug, "from": app.name, "to": null});
    order.audit(&mut tx, None, "app_delete", details).await?;
    tx.commit().await?;
    // If this fails it is logged there, and the next round of refreshing mends it.
    let _ = state.endpoints.refresh().await;
    Ok(StatusCode::NO_CONTENT)
}
