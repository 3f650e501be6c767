//! Access tokens of a customer.
//!
//! For those who know one token a customer, `/token` is the one that was made with it: the one
//! named `default`.

use std::cmp::Reverse;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::access::token::{CustomerToken, TokenText};
use crate::domain::id::TokenId;
use crate::domain::span::Span;
use crate::domain::time::Timestamp;
use crate::domain::validate;
use crate::http::api::list::{List, Paging, PagingQuery};
use crate::http::api::{customer_id, order_of, time};
use crate::http::field_errors::{FieldErrors, checked, end};
use crate::http::location::Location;
use crate::http::reason::{ReasonBody, ReasonQuery, Reasoned};
use crate::http::{Admin, ApiError, AppState, ValidJson, ValidPath, auth, openapi};
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

fn token_taken() -> ApiError {
    ApiError::conflict("token_taken", "this text is a token already")
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
            TokenError::Taken => token_taken(),
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
    /// Until then the text before the last rotation opens the token too; null if it was given no
    /// time.
    #[schema(format = DateTime)]
    previous_until: Option<String>,
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
            previous_until: time(token.previous_until),
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
    paging.cut(all, |token| Reverse(token.id.clone()), TokenView::from)
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
    /// Takes over a token that the customer's machines know already, from wherever they come: its
    /// text. Without it, Tollgate makes one.
    #[schema(pattern = "^[!-9;-~]{32,255}$")]
    token: Option<String>,
}

/// The same, and why.
type TokenWithReason = Reasoned<TokenBody>;

impl TokenBody {
    fn check(self, now: Timestamp) -> Result<TokenOrder, ApiError> {
        let mut field_errors = FieldErrors::default();
        let text = self
            .token
            .and_then(|text| field_errors.note(checked("token", TokenText::taken_over(text))));
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
            text,
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

/// Issues an access token, or takes one over.
#[utoipa::path(
    post,
    path = "/customers/{id}/tokens",
    request_body = TokenWithReason,
    responses(
        (status = 201, description = "The token, with its text.", body = NewTokenView),
        (status = 409, description = "`customer_deleted`: it takes no changes; `tokens_too_many`: it has a hundred; `token_taken`: the text is a token already, of whomever."),
    )
)]
async fn create(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    ValidJson(Reasoned { body, reason }): ValidJson<TokenWithReason>,
) -> Result<(StatusCode, Location, Json<NewTokenView>), ApiError> {
    let order = order_of(&admin, &state).because(reason);
    let wanted = body.check(order.now)?;
    let text = wanted.text.as_ref();
    if text.is_some_and(|text| auth::is_root(&state, &text.hash())) {
        return Err(token_taken());
    }
    let customer = customer_id(&id)?;
    let issued = tokens::issue(&state.store, &order, &customer, wanted).await?;
    let location = Location::of(["customers", customer.as_str(), "tokens"]);
    let view = NewTokenView::of(issued);
    Ok((StatusCode::CREATED, location, Json(view)))
}

/// Revokes an access token.
#[utoipa::path(
    delete,
    path = "/customers/{id}/tokens/{token_id}",
    params(ReasonQuery),
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

/// The time for which the present text of a token goes on working.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// Seconds, or a length of time such as `36h` or `14d`; at most 30 days.
    #[schema(schema_with = overlap)]
    overlap: Option<Overlap>,
}

/// The same, and why.
type RotateWithReason = Reasoned<RotateBody>;

/// A length of time, as a number of seconds or as text.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "must be a number of seconds, or a text such as 36h or 14d"
)]
enum Overlap {
    Seconds(u64),
    Text(String),
}

fn overlap() -> Schema {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(tokens::MAX_OVERLAP.as_secs()));
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[0-9]+[smhd]$"));
    let nothing = ObjectBuilder::new().schema_type(Type::Null);
    let choices = OneOfBuilder::new().item(seconds).item(text).item(nothing);
    Schema::OneOf(choices.examples([json!("36h")]).build())
}

impl RotateBody {
    fn overlap(self) -> Result<Duration, ApiError> {
        let read = match self.overlap {
            None => Ok(Duration::ZERO),
            Some(Overlap::Seconds(seconds)) => Ok(Duration::from_secs(seconds)),
            Some(Overlap::Text(text)) => text.parse().map(Span::duration),
        };
        match read {
            Ok(overlap) if overlap <= tokens::MAX_OVERLAP => Ok(overlap),
            Ok(_) => Err(ApiError::invalid_field(
                "overlap",
                "must be at most 30 days",
            )),
            Err(error) => Err(ApiError::invalid_field("overlap", error.to_string())),
        }
    }
}

/// Rotates an access token.
///
/// The present text goes on working for the time of `overlap`, or else stops at once; texts from
/// before it stop at once.
#[utoipa::path(
    post,
    path = "/customers/{id}/tokens/{token_id}/rotate",
    request_body = Option<RotateWithReason>,
    responses(
        (status = 200, description = "The token, with its text.", body = NewTokenView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn rotate(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath((id, token_id)): ValidPath<(String, String)>,
    body: Option<ValidJson<RotateWithReason>>,
) -> Result<Json<NewTokenView>, ApiError> {
    let (body, reason) = Reasoned::parts_of(body);
    let overlap = body.overlap()?;
    let (token, order) = (
        self::token_id(&token_id)?,
        order_of(&admin, &state).because(reason),
    );
    let customer = customer_id(&id)?;
    let issued = tokens::rotate(&state.store, &order, &customer, &token, overlap).await?;
    Ok(Json(NewTokenView::of(issued)))
}

/// Replaces the customer's first token, the one that was issued with it.
#[utoipa::path(
    post,
    path = "/customers/{id}/token/regenerate",
    request_body = Option<ReasonBody>,
    responses(
        (status = 200, description = "The new token, with its text.", body = NewTokenView),
        (status = 409, description = "`customer_deleted`: it takes no changes."),
    )
)]
async fn regenerate(
    State(state): State<AppState>,
    admin: Admin,
    ValidPath(id): ValidPath<String>,
    body: Option<ValidJson<ReasonBody>>,
) -> Result<Json<NewTokenView>, ApiError> {
    let order = order_of(&admin, &state).because(ReasonBody::of(body));
    let issued = tokens::regenerate_first(&state.store, &order, &customer_id(&id)?).await?;
    Ok(Json(NewTokenView::of(issued)))
}

/// Revokes the customer's first token, the one that was issued with it.
#[utoipa::path(
    delete,
    path = "/customers/{id}/token",
    params(ReasonQuery),
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
