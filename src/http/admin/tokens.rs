//! Access tokens of a customer.
//!
//! For those who know one token a customer, `/token` is the one that was made with it: the one
//! named `default`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::list::{List, Paging};
use super::view::TokenView;
use super::{Faults, checked, end, living_customer, order_of, shown_customer};
use crate::domain::id::TokenId;
use crate::domain::time::Timestamp;
use crate::domain::token::{CustomerToken, TokenText};
use crate::domain::validate;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::tokens::{self, TokenOrder};

/// Most patterns of one token.
const MAX_PATTERNS: usize = 100;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/customers/{id}/tokens", get(list).post(create))
        .route("/customers/{id}/tokens/{token_id}", delete(revoke))
        .route("/customers/{id}/tokens/{token_id}/rotate", post(rotate))
        .route("/customers/{id}/token", delete(revoke_first))
        .route("/customers/{id}/token/regenerate", post(regenerate))
}

fn token_not_found() -> ApiError {
    ApiError::not_found("token_not_found", "the customer has no such token")
}

async fn list(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    paging: Paging,
) -> Result<Json<List<TokenView>>, ApiError> {
    let app = admin.app_or_default();
    let mut tx = state.store.read().await?;
    let customer = shown_customer(&mut tx, &app, &id).await?;
    let all = tx.token_list(&app, &customer.id).await?;
    let all: Vec<TokenView> = all.into_iter().map(TokenView::from).collect();
    Ok(paging.cut(all, |token| token.id.clone()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    name: String,
    scope: Option<String>,
    #[serde(default)]
    packages: Vec<String>,
    expires_at: Option<String>,
}

impl TokenBody {
    fn check(self, now: Timestamp) -> Result<TokenOrder, ApiError> {
        let mut faults = Faults::default();
        let name = faults.note(checked("name", validate::line(&self.name)));
        let scope = self
            .scope
            .and_then(|word| faults.note(checked("scope", validate::word(&word))));
        if self.packages.len() > MAX_PATTERNS {
            let message = format!("must be at most {MAX_PATTERNS} patterns");
            faults.add("packages", message);
        }
        let pattern = |(index, text): (usize, &String)| {
            let field = format!("packages[{index}]");
            faults.note(checked(&field, validate::package_pattern(text)))
        };
        let packages = self
            .packages
            .iter()
            .enumerate()
            .filter_map(pattern)
            .collect();
        let expires_at = faults.note(end("expires_at", self.expires_at.as_deref(), now));
        let name = faults.finish(name)?;
        Ok(TokenOrder {
            name,
            scope,
            packages,
            expires_at: expires_at.flatten(),
        })
    }
}

/// A token that was just made, with the one showing of its text.
#[derive(Serialize)]
struct NewTokenView {
    #[serde(flatten)]
    token_view: TokenView,
    token: String,
}

impl NewTokenView {
    fn of(token: CustomerToken, text: &TokenText) -> Self {
        Self {
            token_view: token.into(),
            token: text.expose().to_owned(),
        }
    }
}

async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidJson(body): ValidJson<TokenBody>,
) -> Result<(StatusCode, Json<NewTokenView>), ApiError> {
    let order = order_of(&admin, &state);
    let wanted = body.check(order.now)?;
    let mut tx = state.store.begin_in(&order.app).await?;
    let customer = living_customer(&mut tx, &order.app, &id).await?;
    let (token, text) = tokens::issue(&mut tx, &order, &customer.id, wanted).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(NewTokenView::of(token, &text))))
}

async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, token_id)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let token_id: TokenId = token_id.parse().map_err(|_| token_not_found())?;
    let order = order_of(&admin, &state);
    let mut tx = state.store.begin_in(&order.app).await?;
    let customer = shown_customer(&mut tx, &order.app, &id).await?;
    if !tx.token_delete(&order.app, &customer.id, &token_id).await? {
        return Err(token_not_found());
    }
    let details = json!({"id": token_id});
    order
        .audit(&mut tx, Some(&customer.id), "token_revoke", details)
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A new text for a token; the old one opens nothing from now on.
async fn rotate(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, token_id)): ValidPath<(String, String)>,
) -> Result<Json<NewTokenView>, ApiError> {
    let token_id: TokenId = token_id.parse().map_err(|_| token_not_found())?;
    let order = order_of(&admin, &state);
    let mut tx = state.store.begin_in(&order.app).await?;
    let customer = living_customer(&mut tx, &order.app, &id).await?;
    let all = tx.token_list(&order.app, &customer.id).await?;
    let known = all.into_iter().find(|token| token.id == token_id);
    let known = known.ok_or_else(token_not_found)?;
    let (token, text) = tokens::rotate(&mut tx, &order, known).await?;
    tx.commit().await?;
    Ok(Json(NewTokenView::of(token, &text)))
}

async fn regenerate(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<Json<NewTokenView>, ApiError> {
    let order = order_of(&admin, &state);
    let mut tx = state.store.begin_in(&order.app).await?;
    let customer = living_customer(&mut tx, &order.app, &id).await?;
    tokens::revoke_first(&mut tx, &order, &customer.id).await?;
    let first = TokenOrder::first();
    let (token, text) = tokens::issue(&mut tx, &order, &customer.id, first).await?;
    tx.commit().await?;
    Ok(Json(NewTokenView::of(token, &text)))
}

async fn revoke_first(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<StatusCode, ApiError> {
    let order = order_of(&admin, &state);
    let mut tx = state.store.begin_in(&order.app).await?;
    let customer = shown_customer(&mut tx, &order.app, &id).await?;
    if tokens::revoke_first(&mut tx, &order, &customer.id).await? == 0 {
        return Err(token_not_found());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
