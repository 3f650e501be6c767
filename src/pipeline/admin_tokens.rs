//! Admin tokens: who may use the API.

use std::time::Duration;

use serde_json::{Value, json};

use super::order::Order;
use crate::domain::access::token::{AdminToken, TokenHash, TokenText};
use crate::domain::id::{AdminTokenId, AppSlug};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::random::{self, RandomError};
use crate::store::{Listed, Store, StoreError, Window};

/// Longest life of an admin token that ends, in days: a hundred years.
pub const MAX_DAYS: u32 = 36_525;

/// Most admin tokens that are good for all apps, and most of one app. Each app has a number of its own,
/// so that its owner takes none from others.
const MAX_TOKENS: u64 = 1_000;

/// Why no admin token was issued or revoked.
#[derive(Debug, thiserror::Error)]
pub enum AdminTokenError {
    /// The app that the token would be bound to does not exist.
    #[error("there is no such app")]
    NoApp,
    /// There is no such admin token.
    #[error("there is no such admin token")]
    NotFound,
    /// There are as many admin tokens as there may be, of the app or for all apps.
    #[error("there are {MAX_TOKENS} admin tokens{}; revoke one first", of_app(.0.as_ref()))]
    TooMany(Option<AppSlug>),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// There was no randomness.
    #[error("the token could not be made")]
    Random(#[from] RandomError),
}

fn of_app(app: Option<&AppSlug>) -> String {
    app.map_or_else(|| " for all apps".to_owned(), |app| format!(" of `{app}`"))
}

/// An admin token to be made.
#[derive(Clone, Debug)]
pub struct AdminTokenOrder {
    /// A name for people.
    pub name: String,
    /// The role, which says what it allows.
    pub role: Role,
    /// The one app that it is bound to; `None` for all apps.
    pub app: Option<AppSlug>,
    /// After how many days it is refused, at most [`MAX_DAYS`]; never if `None`.
    pub expires_in_days: Option<u32>,
}

/// An admin token with its text, for the one answer that shows it.
#[derive(Debug)]
pub struct IssuedAdmin {
    /// The token.
    pub token: AdminToken,
    /// Its text, which is kept nowhere.
    pub text: TokenText,
}

/// Finds the admin token of this hash, run out or not.
///
/// # Errors
/// When the store failed.
pub async fn find(store: &Store, hash: &TokenHash) -> Result<Option<AdminToken>, StoreError> {
    store.read().await?.admin_token_find(hash).await
}

/// Finds out whether any admin token is in force, with a statement that reads one row at most.
///
/// # Errors
/// When the store failed.
pub async fn any(store: &Store, now: Timestamp) -> Result<bool, StoreError> {
    store.read().await?.admin_token_any(now).await
}

/// Lists admin tokens, those of one app alone if one is named.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: Option<&AppSlug>,
    window: &Window,
) -> Result<Listed<AdminToken>, StoreError> {
    store.read().await?.admin_token_list(app, window).await
}

/// Shows an admin token, of one app alone if one is named.
///
/// # Errors
/// When there is no such token.
pub async fn show(
    store: &Store,
    id: &AdminTokenId,
    app: Option<&AppSlug>,
) -> Result<AdminToken, AdminTokenError> {
    let found = store.read().await?.admin_token_show(id, app).await?;
    found.ok_or(AdminTokenError::NotFound)
}

/// Issues an admin token. This is audited in the app that it is bound to.
///
/// # Errors
/// When it is bound to an app that does not exist, there are too many, or there is no randomness.
pub async fn issue(
    store: &Store,
    order: &Order,
    wanted: AdminTokenOrder,
) -> Result<IssuedAdmin, AdminTokenError> {
    let mut tx = store.begin().await?;
    if let Some(app) = &wanted.app
        && tx.app_find(app).await?.is_none()
    {
        return Err(AdminTokenError::NoApp);
    }
    if tx.admin_token_count(wanted.app.as_ref()).await? >= MAX_TOKENS {
        return Err(AdminTokenError::TooMany(wanted.app));
    }
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
    audited_in(order, token.app.as_ref())
        .audit(&mut tx, None, "admin_token_create", details)
        .await?;
    tx.commit().await?;
    Ok(IssuedAdmin { token, text })
}

/// Revokes an admin token, of one app alone if one is named. As its making, this is audited in
/// the app that it was bound to.
///
/// # Errors
/// When there is no such token.
pub async fn revoke(
    store: &Store,
    order: &Order,
    id: &AdminTokenId,
    app: Option<&AppSlug>,
) -> Result<(), AdminTokenError> {
    let mut tx = store.begin().await?;
    let deleted = tx.admin_token_delete(id, app).await?;
    let token = deleted.ok_or(AdminTokenError::NotFound)?;
    let details = json!({"id": token.id, "from": described_admin(&token), "to": null});
    audited_in(order, token.app.as_ref())
        .audit(&mut tx, None, "admin_token_revoke", details)
        .await?;
    Ok(tx.commit().await?)
}

/// The same order in the app of a token, or in `default` for a token of all apps.
fn audited_in(order: &Order, app: Option<&AppSlug>) -> Order {
    Order {
        app: app.cloned().unwrap_or_else(AppSlug::default_app),
        ..order.clone()
    }
}

/// An admin token for the audit.
fn described_admin(token: &AdminToken) -> Value {
    let expires_at = token.expires_at.map(Timestamp::exact);
    json!({"name": token.name, "role": token.role, "app": token.app, "prefix": token.prefix,
        "expires_at": expires_at})
}
