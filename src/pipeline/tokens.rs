//! Giving out tokens.

use std::time::Duration;

use serde_json::{Value, json};

use super::order::Order;
use crate::domain::access::token::{AdminToken, CustomerToken, TokenText};
use crate::domain::id::{AdminTokenId, AppSlug, CustomerId, TokenId};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::random::{self, RandomError};
use crate::store::{StoreError, Tx};

/// The name of the token that is made with a customer.
const FIRST_NAME: &str = "default";
/// The scope of a token that was ordered without one.
const DEFAULT_SCOPE: &str = "read";

/// Longest life of an admin token that ends, in days: a hundred years.
pub const MAX_DAYS: u32 = 36_525;

/// Why no token was given out.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The store failed.
    #[error("the token could not be kept")]
    Store(#[from] StoreError),
    /// There was no randomness.
    #[error("the token could not be made")]
    Random(#[from] RandomError),
}

/// An access token to be made.
#[derive(Clone, Debug, Default)]
pub struct TokenOrder {
    /// What people call it.
    pub name: String,
    /// A word for the registry; `read` unless given.
    pub scope: Option<String>,
    /// Patterns of packages; empty for all that the customer may have.
    pub packages: Vec<String>,
    /// From when it opens nothing.
    pub expires_at: Option<Timestamp>,
}

impl TokenOrder {
    /// The token that is made with a customer.
    pub fn first() -> Self {
        Self {
            name: FIRST_NAME.to_owned(),
            ..Self::default()
        }
    }
}

/// Makes an access token for a customer.
///
/// # Errors
/// When the store fails, or there is no randomness.
pub async fn issue(
    tx: &mut Tx,
    order: &Order,
    customer: &CustomerId,
    wanted: TokenOrder,
) -> Result<(CustomerToken, TokenText), TokenError> {
    let text = TokenText::for_customer(random::bytes()?);
    let token = CustomerToken {
        id: TokenId::from_uuid(random::uuid(order.now)?),
        customer: customer.clone(),
        name: wanted.name,
        scope: wanted.scope.unwrap_or_else(|| DEFAULT_SCOPE.to_owned()),
        packages: wanted.packages,
        prefix: text.shown_prefix(),
        created_at: order.now,
        expires_at: wanted.expires_at,
        last_used_at: None,
    };
    tx.token_add(&order.app, &token, &text.hash()).await?;
    let details = json!({"id": token.id, "from": null, "to": described(&token)});
    order
        .audit(tx, Some(customer), "token_create", details)
        .await?;
    Ok((token, text))
}

/// Gives a token another text. The old one opens nothing from now on.
///
/// # Errors
/// When the store fails, or there is no randomness.
pub async fn rotate(
    tx: &mut Tx,
    order: &Order,
    token: CustomerToken,
) -> Result<(CustomerToken, TokenText), TokenError> {
    let text = TokenText::for_customer(random::bytes()?);
    let before = described(&token);
    let token = CustomerToken {
        prefix: text.shown_prefix(),
        last_used_at: None,
        ..token
    };
    tx.token_rekey(&order.app, &token, &text.hash()).await?;
    let details = json!({"id": token.id, "from": before, "to": described(&token)});
    order
        .audit(tx, Some(&token.customer), "token_rotate", details)
        .await?;
    Ok((token, text))
}

/// Revokes a token of a customer; whether it had such a token.
///
/// # Errors
/// When the store fails.
pub async fn revoke(
    tx: &mut Tx,
    order: &Order,
    customer: &CustomerId,
    id: &TokenId,
) -> Result<bool, TokenError> {
    let all = tx.token_list(&order.app, customer).await?;
    let Some(token) = all.iter().find(|token| token.id == *id) else {
        return Ok(false);
    };
    revoke_known(tx, order, customer, token).await?;
    Ok(true)
}

async fn revoke_known(
    tx: &mut Tx,
    order: &Order,
    customer: &CustomerId,
    token: &CustomerToken,
) -> Result<(), TokenError> {
    tx.token_delete(&order.app, customer, &token.id).await?;
    let details = json!({"id": token.id, "from": described(token), "to": null});
    order
        .audit(tx, Some(customer), "token_revoke", details)
        .await?;
    Ok(())
}

/// A token for the audit.
fn described(token: &CustomerToken) -> Value {
    let expires_at = token.expires_at.map(|at| at.to_string());
    json!({"name": token.name, "prefix": token.prefix, "scope": token.scope,
        "packages": token.packages, "expires_at": expires_at})
}

/// Revokes the token that was made with a customer, and all others of its name; how many.
///
/// # Errors
/// When the store fails.
pub async fn revoke_first(
    tx: &mut Tx,
    order: &Order,
    customer: &CustomerId,
) -> Result<usize, TokenError> {
    let all = tx.token_list(&order.app, customer).await?;
    let first: Vec<CustomerToken> = all
        .into_iter()
        .filter(|token| token.name == FIRST_NAME)
        .collect();
    for token in &first {
        revoke_known(tx, order, customer, token).await?;
    }
    Ok(first.len())
}

/// An admin token to be made.
#[derive(Clone, Debug)]
pub struct AdminTokenOrder {
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The one app that it is bound to; `None` for all apps.
    pub app: Option<AppSlug>,
    /// After how many days it is refused, at most [`MAX_DAYS`]; never if `None`.
    pub expires_in_days: Option<u32>,
}

/// Makes an admin token.
///
/// # Errors
/// When the store fails, or there is no randomness.
pub async fn issue_admin(
    tx: &mut Tx,
    order: &Order,
    wanted: AdminTokenOrder,
) -> Result<(AdminToken, TokenText), TokenError> {
    let text = TokenText::for_admin(random::bytes()?);
    let expires_in = wanted
        .expires_in_days
        .map(|days| Duration::from_hours(24 * u64::from(days)));
    let token = AdminToken {
        id: AdminTokenId::from_uuid(random::uuid(order.now)?),
        app: wanted.app,
        name: wanted.name,
        role: wanted.role,
        prefix: text.shown_prefix(),
        created_at: order.now,
        expires_at: expires_in.map(|life| order.now.plus(life)),
        last_used_at: None,
    };
    tx.admin_token_add(&token, &text.hash()).await?;
    let details = json!({"id": token.id, "from": null, "to": described_admin(&token)});
    order.audit(tx, None, "admin_token_create", details).await?;
    Ok((token, text))
}

/// Revokes an admin token, of this app alone if one is named; whether there was one. As its
/// making, this is audited in the app that it was bound to.
///
/// # Errors
/// When the store fails.
pub async fn revoke_admin(
    tx: &mut Tx,
    order: Order,
    id: &AdminTokenId,
    app: Option<&AppSlug>,
) -> Result<bool, StoreError> {
    let Some(token) = tx.admin_token_delete(id, app).await? else {
        return Ok(false);
    };
    let details = json!({"id": token.id, "from": described_admin(&token), "to": null});
    let order = Order {
        app: token.app.unwrap_or_else(AppSlug::default_app),
        ..order
    };
    order.audit(tx, None, "admin_token_revoke", details).await?;
    Ok(true)
}

/// An admin token for the audit.
fn described_admin(token: &AdminToken) -> Value {
    let expires_at = token.expires_at.map(|at| at.to_string());
    json!({"name": token.name, "role": token.role, "app": token.app, "prefix": token.prefix,
        "expires_at": expires_at})
}
