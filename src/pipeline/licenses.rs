//! Giving out licences, taking them back, and saying whether one is valid.

use serde_json::{Map, Value, json};

use super::order::Order;
use crate::domain::access::license::{self, License, LicenseCode, Revocation};
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, LicenseId};
use crate::domain::time::Timestamp;
use crate::random::{self, RandomError};
use crate::store::{StoreError, Tx};

/// Why no licence was given out.
#[derive(Debug, thiserror::Error)]
pub enum LicenseError {
    /// Another licence of the app has this key.
    #[error("another licence has this key")]
    KeyTaken,
    /// The store failed.
    #[error("the licence could not be kept")]
    Store(#[from] StoreError),
    /// There was no randomness.
    #[error("the licence could not be made")]
    Random(#[from] RandomError),
}

/// A licence to be made.
#[derive(Clone, Debug)]
pub struct LicenseOrder {
    /// The row that it is given to.
    pub customer: CustomerId,
    /// What it is for.
    pub product: String,
    /// A key from elsewhere; one is made unless given.
    pub key: Option<String>,
    /// From when it is no longer valid.
    pub expires_at: Option<Timestamp>,
    /// Anything that the seller wants kept.
    pub metadata: Map<String, Value>,
}

/// Makes a licence for a customer.
///
/// # Errors
/// When the key is taken, the store fails, or there is no randomness.
pub async fn issue(
    tx: &mut Tx,
    order: &Order,
    wanted: LicenseOrder,
) -> Result<License, LicenseError> {
    let key = match wanted.key {
        Some(key) => key,
        None => license::made_key(random::bytes()?),
    };
    let license = License {
        id: LicenseId::from_uuid(random::uuid(order.now)?),
        customer: wanted.customer,
        product: wanted.product,
        key,
        metadata: wanted.metadata,
        created_at: order.now,
        expires_at: wanted.expires_at,
        revoked: None,
    };
    if !tx.license_add(&order.app, &license).await? {
        return Err(LicenseError::KeyTaken);
    }
    let expires_at = license.expires_at.map(|at| at.to_string());
    let details = json!({"id": license.id, "product": license.product, "from": null,
        "to": license.status(order.now).as_str(), "expires_at": expires_at});
    let customer = Some(&license.customer);
    order.audit(tx, customer, "license_create", details).await?;
    Ok(license)
}

/// Takes a licence back; whether that changed anything. One that is taken back already keeps the
/// time and the reason that it has.
///
/// # Errors
/// When the store fails.
pub async fn revoke(
    tx: &mut Tx,
    order: &Order,
    license: &mut License,
    reason: Option<String>,
) -> Result<bool, StoreError> {
    if license.revoked.is_some() {
        return Ok(false);
    }
    let at = order.now;
    set_revoked(tx, order, license, Some(Revocation { at, reason })).await?;
    Ok(true)
}

/// Gives a licence back; whether that changed anything.
///
/// # Errors
/// When the store fails.
pub async fn reinstate(
    tx: &mut Tx,
    order: &Order,
    license: &mut License,
) -> Result<bool, StoreError> {
    if license.revoked.is_none() {
        return Ok(false);
    }
    set_revoked(tx, order, license, None).await?;
    Ok(true)
}

async fn set_revoked(
    tx: &mut Tx,
    order: &Order,
    license: &mut License,
    revoked: Option<Revocation>,
) -> Result<(), StoreError> {
    let operation = match &revoked {
        Some(_) => "license_revoke",
        None => "license_reinstate",
    };
    let reason_of = |license: &License| license.revoked.as_ref().and_then(|it| it.reason.clone());
    let (from, from_reason) = (license.status(order.now), reason_of(license));
    license.revoked = revoked;
    tx.license_revoke(&order.app, &license.id, license.revoked.as_ref())
        .await?;
    let details = json!({"id": license.id, "from": from.as_str(),
        "to": license.status(order.now).as_str(), "reason": from_reason.or(reason_of(license))});
    order
        .audit(tx, Some(&license.customer), operation, details)
        .await
}

/// What is said of a key.
#[derive(Debug)]
pub struct Judged {
    /// Why.
    pub code: LicenseCode,
    /// The licence and whose it is now, where there is one.
    pub license: Option<(License, Customer)>,
}

/// Whether the licence with a key is valid.
///
/// # Errors
/// When the store fails.
pub async fn validate(
    tx: &mut Tx,
    app: &AppSlug,
    key: &str,
    now: Timestamp,
) -> Result<Judged, StoreError> {
    let unknown = Judged {
        code: LicenseCode::LicenseUnknown,
        license: None,
    };
    let Some(license) = tx.license_find_by_key(app, key).await? else {
        return Ok(unknown);
    };
    let mut customers = tx.customers_of_rows(app, [&license.customer]).await?;
    Ok(match customers.remove(&license.customer) {
        Some(customer) => Judged {
            code: license.judge(&customer, now),
            license: Some((license, customer)),
        },
        None => unknown,
    })
}
