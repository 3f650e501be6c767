//! Admin tokens. A token that is bound to one app sees and makes only tokens of that app.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::list::{self, List, Paging};
use super::view::AdminTokenView;
use super::{Faults, checked, order_in, order_of};
use crate::domain::id::{AdminTokenId, AppSlug};
use crate::domain::role::Role;
use crate::domain::validate::{self, FieldError};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::tokens::{self, AdminTokenOrder};

/// Longest life of a token that ends: a hundred years.
const MAX_DAYS: u32 = 36_525;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/admin-tokens", get(list).post(create))
        .route("/admin-tokens/{id}", delete(revoke))
}

async fn list(
    State(state): State<AppState>,
    admin: Admin,
    paging: Paging,
) -> Result<Json<List<AdminTokenView>>, ApiError> {
    let mut tx = state.store.read().await?;
    let part = tx.admin_token_list(admin.app.as_ref(), &paging.0).await?;
    Ok(paging.answer(list::map(part, AdminTokenView::from)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminTokenBody {
    name: String,
    role: String,
    app: Option<String>,
    expires_in_days: Option<u32>,
}

/// A token that was just made, with the one showing of its text.
#[derive(Serialize)]
struct NewAdminTokenView {
    #[serde(flatten)]
    view: AdminTokenView,
    token: String,
}

async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidJson(body): ValidJson<AdminTokenBody>,
) -> Result<(StatusCode, Json<NewAdminTokenView>), ApiError> {
    admin.require(Role::Owner)?;
    let now = state.clock.now();
    let mut tx = state.store.begin().await?;
    let mut faults = Faults::default();
    let name = faults.note(checked("name", validate::line(&body.name)));
    let role = body.role.parse::<Role>().map_err(|error| error.to_string());
    let role = faults.note(checked("role", role));
    let no_app = || FieldError::new("app", "must be the slug of an app");
    let app = match &body.app {
        None => Ok(admin.app.clone()),
        Some(slug) => slug.parse().map(Some).map_err(|_| no_app()),
    };
    let mut app = faults.note(app).flatten();
    if let Some(slug) = &app
        && (!admin.may_see(slug) || tx.app_existing([slug]).await?.is_empty())
    {
        faults.note::<()>(Err(no_app()));
        app = None;
    }
    let expires_at =
        faults.note(expiry(body.expires_in_days).map(|life| life.map(|life| now.plus(life))));
    let (name, role) = faults.finish(name.zip(role))?;
    let audited_in = app.clone().unwrap_or_else(AppSlug::default_app);
    let order = order_in(&admin, &state, audited_in);
    let wanted = AdminTokenOrder {
        name,
        role,
        app,
        expires_at: expires_at.flatten(),
    };
    let (token, text) = tokens::issue_admin(&mut tx, &order, wanted).await?;
    tx.commit().await?;
    let token = NewAdminTokenView {
        view: token.into(),
        token: text.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(token)))
}

fn expiry(days: Option<u32>) -> Result<Option<Duration>, FieldError> {
    match days {
        None => Ok(None),
        Some(days @ 1..=MAX_DAYS) => Ok(Some(Duration::from_secs(u64::from(days) * 86_400))),
        Some(_) => {
            let message = format!("must be a number from 1 to {MAX_DAYS}");
            Err(FieldError::new("expires_in_days", message))
        }
    }
}

async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<StatusCode, ApiError> {
    admin.require(Role::Owner)?;
    let unknown = || ApiError::not_found("token_not_found", "there is no such admin token");
    let id: AdminTokenId = id.parse().map_err(|_| unknown())?;
    let mut tx = state.store.begin().await?;
    if !tx.admin_token_delete(&id, admin.app.as_ref()).await? {
        return Err(unknown());
    }
    let order = order_of(&admin, &state);
    tx.audit_add(&[order.entry(None, "admin_token_revoke", json!({"id": id}))])
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
