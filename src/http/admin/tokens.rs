//! Access tokens of a customer.
//!
//! For those who know one token a customer, `/token` is the one that was made with it: the one
//! named `default`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::list::{List, Paging, PagingQuery};
use super::view::TokenView;
use super::{FieldErrors, checked, end, living_customer, order_of, shown_customer};
use crate::domain::access::token::{CustomerToken, TokenText};
use crate::domain::id::TokenId;
use crate::domain::time::Timestamp;
use crate::domain::validate;
use crate::http::openapi;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::tokens::{self, TokenOrder};

/// Most patterns of one token.
const MAX_PATTERNS: usize = 100;

pub(super) fn router() -> OpenApiRouter<AppState> {
    let routes = OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
        .routes(routes!(rotate))
        .routes(routes!(revoke_first))
        .routes(routes!(regenerate));
    openapi::resource("tokens", "Access tokens of customers.", routes)
}

fn token_not_found() -> ApiError {
    ApiError::not_found("token_not_found", "the customer has no such token")
}

/// Lists a customer's access tokens.
#[utoipa::path(
    get,
    path = "/customers/{id}/tokens",
    params(PagingQuery),
    responses((status = 200, description = "Tokens, without their texts.", body = List<TokenView>))
)]
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

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    /// For people. One line.
    #[schema(min_length = 1, max_length = 255, examples("build server"))]
    name: String,
    /// A word for the registry, which it finds in the answers of the access check.
    #[schema(pattern = "^[a-z0-9_.:-]{1,64}$", examples("read"))]
    scope: Option<String>,
    /// Only these packages, `*` standing for anything; all of the customer's unless given.
    #[serde(default)]
    #[schema(max_items = 100, examples("acme/*"))]
    packages: Vec<String>,
    /// When it ends; never unless given.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl TokenBody {
    fn check(self, now: Timestamp) -> Result<TokenOrder, ApiError> {
        let mut field_errors = FieldErrors::default();
        let name = field_errors.note(checked("name", validate::line(&self.name)));
        let scope = self
            .scope
            .and_then(|word| field_errors.note(checked("scope", validate::word(&word))));
        if self.packages.len() > MAX_PATTERNS {
            let message = format!("must be at most {MAX_PATTERNS} patterns");
            field_errors.add("packages", message);
        }
        let pattern = |(index, text): (usize, &String)| {
            let field = format!("packages[{index}]");
            field_errors.note(checked(&field, validate::package_pattern(text)))
        };
        let packages = self
            .packages
            .iter()
            .enumerate()
            .filter_map(pattern)
            .collect();
        let expires_at = field_errors.note(end("expires_at", self.expires_at.as_deref(), now));
        let name = field_errors.finish(name)?;
        Ok(TokenOrder {
            name,
            scope,
            packages,
            expires_at: expires_at.flatten(),
        })
    }
}

/// A token that was just made, with the one showing of its text.
#[derive(Serialize, ToSchema)]
#[schema(as = NewCustomerToken)]
struct NewTokenView {
    #[serde(flatten)]
    token_view: TokenView,
    /// It is shown only here.
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

/// Makes an access token.
#[utoipa::path(
    post,
    path = "/customers/{id}/tokens",
    request_body = TokenBody,
    responses(
        (status = 201, description = "The token, with its text.", body = NewTokenView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
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

/// Ends an access token.
#[utoipa::path(
    delete,
    path = "/customers/{id}/tokens/{token_id}",
    responses((status = 204, description = "It is gone."))
)]
async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, token_id)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let token_id: TokenId = token_id.parse().map_err(|_| token_not_found())?;
    let order = order_of(&admin, &state);
    let mut tx = state.store.begin_in(&order.app).await?;
    let customer = shown_customer(&mut tx, &order.app, &id).await?;
    if !tokens::revoke(&mut tx, &order, &customer.id, &token_id).await? {
        return Err(token_not_found());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives an access token a new text.
///
/// The old one opens nothing from now on.
#[utoipa::path(
    post,
    path = "/customers/{id}/tokens/{token_id}/rotate",
    responses(
        (status = 200, description = "The token, with its text.", body = NewTokenView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
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

/// Replaces the token that was made with the customer.
#[utoipa::path(
    post,
    path = "/customers/{id}/token/regenerate",
    responses(
        (status = 200, description = "The new token, with its text.", body = NewTokenView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
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

/// Ends the token that was made with the customer.
#[utoipa::path(
    delete,
    path = "/customers/{id}/token",
    responses((status = 204, description = "It is gone."))
)]
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
