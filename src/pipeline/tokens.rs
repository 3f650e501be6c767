//! Access tokens of customers.
//!
//! For those who know one token for each customer, its *first* token is the one that was made with
//! it: the one named `default`.

use std::time::Duration;

use serde_json::{Value, json};

use super::customers::{CustomerError, FindError, living, shown};
use super::order::Order;
use crate::domain::access::token::{CustomerToken, TakenToken, TokenHash, TokenText};
use crate::domain::id::{AppSlug, CustomerId, TokenId};
use crate::domain::time::Timestamp;
use crate::random::{self, RandomError};
use crate::store::{AuditEntry, Store, StoreError, Tx};

/// The name of the token that is made with a customer.
pub(super) const FIRST_NAME: &str = "default";
/// The name of any further token that is taken over from elsewhere.
const TAKEN_NAME: &str = "imported";
/// The scope of a token that was ordered without one.
const DEFAULT_SCOPE: &str = "read";

/// Most access tokens of one customer: one for each of its machines.
pub const MAX_TOKENS: usize = 100;

/// The longest time for which a text goes on opening a token that was rotated: long enough for a
/// machine that is looked after once a month.
pub const MAX_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// Why a token was not issued, rotated or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The customer cannot be shown, or takes no changes.
    #[error(transparent)]
    Customer(#[from] FindError),
    /// The customer has no such token.
    #[error("the customer has no such token")]
    NotFound,
    /// The customer has as many tokens as it may have.
    #[error("the customer has {MAX_TOKENS} access tokens; revoke one first")]
    TooMany,
    /// The text that was to be taken over is a token already.
    #[error("this text is a token already")]
    Taken,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// There was no randomness.
    #[error("the token could not be made")]
    Random(#[from] RandomError),
}

/// Why a token could not be issued to a customer that is there.
#[derive(Debug, thiserror::Error)]
pub(super) enum IssueError {
    /// The text is a token already.
    #[error("this text is a token already")]
    Taken,
    /// The store failed.
    #[error("the token could not be kept")]
    Store(#[from] StoreError),
    /// There was no randomness.
    #[error("the token could not be made")]
    Random(#[from] RandomError),
}

impl From<IssueError> for TokenError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Taken => Self::Taken,
            IssueError::Store(source) => Self::Store(source),
            IssueError::Random(source) => Self::Random(source),
        }
    }
}

impl From<IssueError> for CustomerError {
    fn from(error: IssueError) -> Self {
        match error {
            // Cannot be: a customer is made with a random text.
            IssueError::Taken => Self::Store(StoreError::Contended),
            IssueError::Store(source) => Self::Store(source),
            IssueError::Random(source) => Self::Random(source),
        }
    }
}

/// An access token to be made.
#[derive(Debug, Default)]
pub struct TokenOrder {
    /// A name for people.
    pub name: String,
    /// A word for the registry; `read` unless given.
    pub scope: Option<String>,
    /// Patterns of packages; empty for all that the customer may have.
    pub packages: Vec<String>,
    /// The end of its life, from which on it opens nothing.
    pub expires_at: Option<Timestamp>,
    /// The text that is taken over; a random one unless given.
    pub text: Option<TokenText>,
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

/// A token with its text, for the one answer that shows it.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: CustomerToken,
    /// Its text, which is kept nowhere.
    pub text: TokenText,
}

/// Lists a customer's access tokens.
///
/// # Errors
/// When there is no such customer.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
) -> Result<Vec<CustomerToken>, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, customer).await?;
    Ok(tx.token_list(app, &customer.id).await?)
}

/// Issues an access token to a customer.
///
/// # Errors
/// When there is no such customer, it was deleted, it has too many tokens, its text is a token already,
/// or there is no randomness.
pub async fn issue(
    store: &Store,
    order: &Order,
    customer: &CustomerId,
    wanted: TokenOrder,
) -> Result<Issued, TokenError> {
    let mut tx = store.begin_in(&order.app).await?;
    let customer = living(&mut tx, &order.app, customer).await?;
    if tx.token_list(&order.app, &customer.id).await?.len() >= MAX_TOKENS {
        return Err(TokenError::TooMany);
    }
    let issued = issue_in(&mut tx, order, &customer.id, wanted).await?;
    tx.commit().await?;
    Ok(issued)
}

/// Rotates a token: it gets a new text. The one that it had opens it for the time of `overlap`, at
/// most [`MAX_OVERLAP`], and texts from before that not any more.
///
/// # Errors
/// When there is no such customer or token, the customer was deleted, or there is no randomness.
pub async fn rotate(
    store: &Store,
    order: &Order,
    customer: &CustomerId,
    id: &TokenId,
    overlap: Duration,
) -> Result<Issued, TokenError> {
    let mut tx = store.begin_in(&order.app).await?;
    let customer = living(&mut tx, &order.app, customer).await?;
    let token = known(&mut tx, order, &customer.id, id).await?;
    let text = TokenText::for_customer(random::bytes()?);
    let before = described(&token);
    let token = CustomerToken {
        prefix: text.shown_prefix(),
        last_used_at: None,
        previous_until: (!overlap.is_zero()).then(|| order.now.plus(overlap)),
        ..token
    };
    if !tx.token_rekey(&order.app, &token, &text.hash()).await? {
        return Err(TokenError::Taken);
    }
    let until = token.previous_until.map(|at| at.to_string());
    let details = json!({"id": token.id, "from": before, "to": described(&token),
        "previous_until": until});
    order
        .audit(&mut tx, Some(&token.customer), "token_rotate", details)
        .await?;
    tx.commit().await?;
    Ok(Issued { token, text })
}

/// Revokes a token. This is possible for deleted customers too.
///
/// # Errors
/// When there is no such customer or token.
pub async fn revoke(
    store: &Store,
    order: &Order,
    customer: &CustomerId,
    id: &TokenId,
) -> Result<(), TokenError> {
    let mut tx = store.begin_in(&order.app).await?;
    let customer = shown(&mut tx, &order.app, customer).await?;
    let token = known(&mut tx, order, &customer.id, id).await?;
    revoke_known(&mut tx, order, &customer.id, &token).await?;
    Ok(tx.commit().await?)
}

/// Replaces the first token of a customer, and all others of its name, by a new one.
///
/// # Errors
/// When there is no such customer, it was deleted, or there is no randomness.
pub async fn regenerate_first(
    store: &Store,
    order: &Order,
    customer: &CustomerId,
) -> Result<Issued, TokenError> {
    let mut tx = store.begin_in(&order.app).await?;
    let customer = living(&mut tx, &order.app, customer).await?;
    revoke_first_in(&mut tx, order, &customer.id).await?;
    let issued = issue_in(&mut tx, order, &customer.id, TokenOrder::first()).await?;
    tx.commit().await?;
    Ok(issued)
}

/// Revokes the first token of a customer, and all others of its name.
///
/// # Errors
/// When there is no such customer, or it has no such token.
pub async fn revoke_first(
    store: &Store,
    order: &Order,
    customer: &CustomerId,
) -> Result<(), TokenError> {
    let mut tx = store.begin_in(&order.app).await?;
    let customer = shown(&mut tx, &order.app, customer).await?;
    if revoke_first_in(&mut tx, order, &customer.id).await? == 0 {
        return Err(TokenError::NotFound);
    }
    Ok(tx.commit().await?)
}

/// Makes an access token in the transaction of a larger act.
pub(super) async fn issue_in(
    tx: &mut Tx,
    order: &Order,
    customer: &CustomerId,
    wanted: TokenOrder,
) -> Result<Issued, IssueError> {
    let text = match wanted.text {
        Some(text) => text,
        None => TokenText::for_customer(random::bytes()?),
    };
    let (prefix, hash) = (text.shown_prefix(), text.hash());
    let terms = Terms {
        name: wanted.name,
        scope: wanted.scope.unwrap_or_else(|| DEFAULT_SCOPE.to_owned()),
        packages: wanted.packages,
        expires_at: wanted.expires_at,
    };
    let token = keep_in(tx, order, customer, terms, prefix, &hash).await?;
    Ok(Issued { token, text })
}

/// A token that a customer takes over from elsewhere. The first one of a customer is the one that
/// those mean who know only one.
pub(super) fn taken_over(
    order: &Order,
    customer: &CustomerId,
    taken: &TakenToken,
    has_first: bool,
) -> Result<CustomerToken, RandomError> {
    let name = if has_first { TAKEN_NAME } else { FIRST_NAME };
    Ok(CustomerToken {
        id: TokenId::from_uuid(random::uuid(order.now)?),
        customer: customer.clone(),
        name: name.to_owned(),
        scope: DEFAULT_SCOPE.to_owned(),
        packages: Vec::new(),
        prefix: taken.prefix(),
        created_at: order.now,
        expires_at: None,
        last_used_at: None,
        previous_until: None,
    })
}

/// What the audit says of a token that was made.
pub(super) fn created(order: &Order, token: &CustomerToken) -> AuditEntry {
    let details = json!({"id": token.id, "from": null, "to": described(token)});
    order.entry(Some(&token.customer), "token_create", details)
}

/// How a token is kept, beside what opens it.
struct Terms {
    name: String,
    scope: String,
    packages: Vec<String>,
    expires_at: Option<Timestamp>,
}

async fn keep_in(
    tx: &mut Tx,
    order: &Order,
    customer: &CustomerId,
    terms: Terms,
    prefix: String,
    hash: &TokenHash,
) -> Result<CustomerToken, IssueError> {
    // A text that opens the API must not lie in the settings of a registry as well.
    if tx.admin_token_find(hash).await?.is_some() {
        return Err(IssueError::Taken);
    }
    let token = CustomerToken {
        id: TokenId::from_uuid(random::uuid(order.now)?),
        customer: customer.clone(),
        name: terms.name,
        scope: terms.scope,
        packages: terms.packages,
        prefix,
        created_at: order.now,
        expires_at: terms.expires_at,
        last_used_at: None,
        previous_until: None,
    };
    if !tx.token_add(&order.app, &token, hash).await? {
        return Err(IssueError::Taken);
    }
    tx.audit_add(&[created(order, &token)]).await?;
    Ok(token)
}

async fn known(
    tx: &mut Tx,
    order: &Order,
    customer: &CustomerId,
    id: &TokenId,
) -> Result<CustomerToken, TokenError> {
    let all = tx.token_list(&order.app, customer).await?;
    let known = all.into_iter().find(|token| token.id == *id);
    known.ok_or(TokenError::NotFound)
}

async fn revoke_first_in(
    tx: &mut Tx,
    order: &Order,
    customer: &CustomerId,
) -> Result<usize, StoreError> {
    let mut first = tx.token_list(&order.app, customer).await?;
    first.retain(|token| token.name == FIRST_NAME);
    for token in &first {
        revoke_known(tx, order, customer, token).await?;
    }
    Ok(first.len())
}

async fn revoke_known(
    tx: &mut Tx,
    order: &Order,
    customer: &CustomerId,
    token: &CustomerToken,
) -> Result<(), StoreError> {
    tx.token_delete(&order.app, customer, &token.id).await?;
    let details = json!({"id": token.id, "from": described(token), "to": null});
    order
        .audit(tx, Some(customer), "token_revoke", details)
        .await?;
    Ok(())
}

/// A token for the audit.
fn described(token: &CustomerToken) -> Value {
    let expires_at = token.expires_at.map(Timestamp::exact);
    json!({"name": token.name, "prefix": token.prefix, "scope": token.scope,
        "packages": token.packages, "expires_at": expires_at})
}
