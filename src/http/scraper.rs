//! Who may read the figures on the public address.
//!
//! Monitoring must go on while the store is away, and tokens are in the store. So the tokens with
//! which figures were read lately are remembered, by their hashes, and are good while the store does
//! not answer. A token that is deleted during an outage works until its end, for figures alone.

use std::time::Duration;

use axum::http::request::Parts;
use tokio::time::timeout;

use super::AppState;
use super::auth::{self, Admin};
use super::error::ApiError;

/// The longest wait for the store.
const LOOK_UP_TIME: Duration = Duration::from_millis(700);

/// Lets a caller read the figures.
///
/// # Errors
/// 401 without a valid token, 403 with one of a single app, 503 if the store is away and the token is
/// not known.
pub(super) async fn admit(parts: &Parts, state: &AppState) -> Result<(), ApiError> {
    let hash = auth::presented(&parts.headers);
    let scrapers = state.scrapers();
    let known = |refusal| match &hash {
        Some(hash) if scrapers.knows(hash) => Ok(()),
        _ => Err(refusal),
    };
    match timeout(LOOK_UP_TIME, auth::sign_in(parts, state)).await {
        Ok(Ok(admin)) => {
            check(&admin)?;
            if let Some(hash) = hash {
                scrapers.remember(hash);
            }
            Ok(())
        }
        Ok(Err(away @ ApiError::Unavailable { .. })) => known(away),
        Ok(Err(refusal)) => {
            let is_bad = matches!(refusal, ApiError::Unauthorized { .. });
            if let Some(hash) = hash.as_ref().filter(|_| is_bad) {
                scrapers.forget(hash);
            }
            Err(refusal)
        }
        Err(_elapsed) => known(ApiError::Unavailable { cause: None }),
    }
}

/// Every role reads; but not of other apps.
fn check(admin: &Admin) -> Result<(), ApiError> {
    if admin.app.is_none() {
        return Ok(());
    }
    Err(ApiError::Forbidden {
        code: "token_bound",
        detail: "the token is bound to one app, and the figures are of all".into(),
    })
}
