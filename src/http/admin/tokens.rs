//! Access tokens of a customer.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::list::{List, Paging};
use super::view::TokenView;
use super::{Faults, checked, end, living_customer, order_of, shown_customer};
use crate::domain::id::TokenId;
use crate::domain::time::Timestamp;
use crate::domain::validate::{self, FieldError};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::tokens::{self, TokenOrder};

/// Most patterns of one token.
const MAX_PATTERNS: usize = 100;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/customers/{id}/tokens", get(list).post(create))
        .route("/customers/{id}/tokens/{token_id}", delete(revoke))
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
            faults.0.push(FieldError::new("packages", message));
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
        faults.into_result()?;
        Ok(TokenOrder {
            name: name.unwrap_or_default(),
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

async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidJson(body): ValidJson<TokenBody>,
) -> Result<(StatusCode, Json<NewTokenView>), ApiError> {
    let order = order_of(&admin, &state);
    let wanted = body.check(order.now)?;
    let mut tx = state.store.begin().await?;
    let customer = living_customer(&mut tx, &order.app, &id).await?;
    let (token, text) = tokens::issue(&mut tx, &order, &customer.id, wanted).await?;
    tx.commit().await?;
    let token = NewTokenView {
        token_view: token.into(),
        token: text.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(token)))
}

async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, token_id)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let unknown = || ApiError::not_found("token_not_found", "the customer has no such token");
    let token_id: TokenId = token_id.parse().map_err(|_| unknown())?;
    let order = order_of(&admin, &state);
    let mut tx = state.store.begin().await?;
    let customer = shown_customer(&mut tx, &order.app, &id).await?;
    if !tx.token_delete(&order.app, &customer.id, &token_id).await? {
        return Err(unknown());
    }
    let details = json!({"id": token_id});
    tx.audit_add(&[order.entry(Some(&customer.id), "token_revoke", details)])
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
