//! Apps: the tenants.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::list::{List, Paging};
use super::view::AppView;
use super::{Faults, checked, order_in};
use crate::domain::id::AppSlug;
use crate::domain::policy::Policy;
use crate::domain::role::Role;
use crate::domain::validate;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::store::{App, Tx};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/apps", get(list).post(create))
        .route("/apps/{slug}", get(show).patch(rename).delete(delete))
}

pub(super) fn app_not_found() -> ApiError {
    ApiError::not_found("app_not_found", "there is no such app")
}

/// The app of a path, if the token may see it.
pub(super) async fn visible_app(tx: &mut Tx, admin: &Admin, slug: &str) -> Result<App, ApiError> {
    let slug: AppSlug = slug.parse().map_err(|_| app_not_found())?;
    if !admin.may_see(&slug) {
        return Err(app_not_found());
    }
    tx.app_find(&slug).await?.ok_or_else(app_not_found)
}

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

async fn show(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(slug): ValidPath<String>,
) -> Result<Json<AppView>, ApiError> {
    let mut tx = state.store.read().await?;
    Ok(Json(visible_app(&mut tx, &admin, &slug).await?.into()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppBody {
    slug: String,
    name: String,
}

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
    let mut faults = Faults::default();
    let slug = body
        .slug
        .parse::<AppSlug>()
        .map_err(|error| error.to_string());
    let slug = faults.note(checked("slug", slug));
    let name = faults.note(checked("name", validate::line(&body.name)));
    let (slug, name) = faults.finish(slug.zip(name))?;
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
    let details = json!({"slug": app.slug, "name": app.name});
    order.audit(&mut tx, None, "app_create", details).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(app.into())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameBody {
    name: String,
}

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
    let details = json!({"slug": app.slug, "name": app.name});
    order.audit(&mut tx, None, "app_delete", details).await?;
    tx.commit().await?;
    // If this fails it is logged there, and the next round of refreshing mends it.
    let _ = state.endpoints.refresh().await;
    Ok(StatusCode::NO_CONTENT)
}
