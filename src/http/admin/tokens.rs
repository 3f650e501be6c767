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

use crate::domain::access::token::CustomerToken;
use crate::domain::id::TokenId;
use crate::domain::time::Timestamp;
use crate::domain::validate;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::{customer_id, order_of, time};
use crate::http::field_errors::{FieldErrors, checked, end};
use crate::http::openapi;
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath};
use crate::pipeline::tokens::{self, Issued, TokenError, TokenOrder};

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

/// A token's id from a path. A text that is no id names no token.
fn token_id(text: &str) -> Result<TokenId, ApiError> {
    text.parse().map_err(|_| token_not_found())
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Customer(error) => error.into(),
            TokenError::NotFound => token_not_found(),
            TokenError::TooMany => Self::conflict("tokens_too_many", error.to_string()),
            TokenError::Store(error) => error.into(),
            TokenError::Random(error) => error.into(),
        }
    }
}

/// A customer's access token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerToken)]
pub(super) struct TokenView {
    #[schema(examples("ctok_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    id: String,
    #[schema(examples("cust_01939f1bf0007cc8a4d0b1c2d3e4f506"))]
    customer_id: String,
    #[schema(examples("build server"))]
    name: String,
    #[schema(examples("read"))]
    scope: String,
    #[schema(examples("acme/*"))]
    packages: Vec<String>,
    prefix: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl From<CustomerToken> for TokenView {
    fn from(token: CustomerToken) -> Self {
        Self {
            id: token.id.into(),
            customer_id: token.customer.into(),
            name: token.name,
            scope: token.scope,
            packages: token.packages,
            prefix: token.prefix,
            created_at: token.created_at.to_string(),
            expires_at: time(token.expires_at),
            last_used_at: time(token.last_used_at),
        }
    }
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
    let all = tokens::list(&state.store, &app, &customer_id(&id)?).await?;
    let all: Vec<TokenView> = all.into_iter().map(TokenView::from).collect();
    Ok(paging.cut(all, |token| token.id.clone()))
}

/// A token to issue.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    /// A name for people. One line.
    #[schema(min_length = 1, max_length = 255, examples("build server"))]
    name: String,
    /// A word for the registry, which it finds in the answers of the access check.
    #[schema(pattern = "^[a-z0-9_.:-]{1,64}$", examples("read"))]
    scope: Option<String>,
    /// Only these packages, where `*` stands for anything; by default, all of the customer's.
    #[serde(default)]
    #[schema(max_items = 100, examples("acme/*"))]
    packages: Vec<String>,
    /// The end of its life; without it, it never ends.
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

/// A token that was just issued, with its text, which is shown only once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewCustomerToken)]
struct NewTokenView {
    #[serde(flatten)]
    token_view: TokenView,
    /// The text of the token, which is shown only here.
    token: String,
}

impl NewTokenView {
    fn of(issued: Issued) -> Self {
        Self {
            token_view: issued.token.into(),
            token: issued.text.expose().to_owned(),
        }
    }
}

/// Issues an access token.
#[utoipa::path(
    post,
    path = "/customers/{id}/tokens",
    request_body = TokenBody,
    responses(
        (status = 201, description = "The token, with its text.", body = NewTokenView),
        (status = 409, description = "`customer_deleted`: it takes no changes; `tokens_too_many`: it has a hundred."),
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
    let issued = tokens::issue(&state.store, &order, &customer_id(&id)?, wanted).await?;
    Ok((StatusCode::CREATED, Json(NewTokenView::of(issued))))
}

/// Revokes an access token.
#[utoipa::path(
    delete,
    path = "/customers/{id}/tokens/{token_id}",
    responses((status = 204, description = "Deleted."))
)]
async fn revoke(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, token_id)): ValidPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (token, order) = (self::token_id(&token_id)?, order_of(&admin, &state));
    tokens::revoke(&state.store, &order, &customer_id(&id)?, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotates an access token.
///
/// The old text stops working at once.
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
    let (token, order) = (self::token_id(&token_id)?, order_of(&admin, &state));
    let issued = tokens::rotate(&state.store, &order, &customer_id(&id)?, &token).await?;
    Ok(Json(NewTokenView::of(issued)))
}

/// Replaces the customer's first token, the one that was issued with it.
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
    let issued = tokens::regenerate_first(&state.store, &order, &customer_id(&id)?).await?;
    Ok(Json(NewTokenView::of(issued)))
}

/// Revokes the customer's first token, the one that was issued with it.
#[utoipa::path(
    delete,
    path = "/customers/{id}/token",
    responses((status = 204, description = "Deleted."))
)]
async fn revoke_first(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
) -> Result<StatusCode, ApiError> {
    let order = order_of(&admin, &state);
    tokens::revoke_first(&state.store, &order, &customer_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
