//! Issuing licences by hand.

use serde_json::{Map, Value, json};

use super::{LicenseError, MAX_LICENSES, OwnedLicense};
use crate::domain::access::license::License;
use crate::domain::access::license_key::{LicenseKey, TypedKey};
use crate::domain::access::plan::Plans;
use crate::domain::id::{AppSlug, CustomerId, LicenseId};
use crate::domain::time::Timestamp;
use crate::pipeline::customers::{FindError, shown};
use crate::pipeline::order::Order;
use crate::pipeline::owed_licenses::sealed;
use crate::random;
use crate::store::{Store, StoreError, Tx};
use crate::vault::Vault;

/// A licence to be made.
#[derive(Clone, Debug)]
pub struct LicenseOrder {
    /// The row that it is given to.
    pub customer: CustomerId,
    /// The product that it is for.
    pub product: String,
    /// A key from elsewhere; one is made unless given.
    pub key: Option<LicenseKey>,
    /// The end of its life, from which on it is not valid.
    pub expires_at: Option<Timestamp>,
    /// How many activations it may have at once; `None`: as many as are wanted.
    pub activations_limit: Option<u32>,
    /// Anything that the seller wants kept.
    pub metadata: Map<String, Value>,
}

/// Makes sure that a licence could be issued to a customer, as far as the customer goes. Deleted
/// customers pass, because [`issue`] refuses them in its own way.
///
/// # Errors
/// When there is no such customer.
pub async fn find_holder(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
) -> Result<(), FindError> {
    let mut tx = store.read().await?;
    shown(&mut tx, app, customer).await.map(drop)
}

/// Issues a licence to a customer.
///
/// # Errors
/// When there is no such customer, it was deleted, it has too many licences, the key is taken, or there
/// is no randomness.
pub async fn issue(
    store: &Store,
    vault: &Vault,
    order: &Order,
    wanted: LicenseOrder,
) -> Result<OwnedLicense, LicenseError> {
    let mut tx = store.begin_in(&order.app).await?;
    let customer = shown(&mut tx, &order.app, &wanted.customer).await?;
    if customer.is_gone() {
        return Err(LicenseError::CustomerDeleted);
    }
    if tx.license_count(&order.app, &customer.id).await? >= MAX_LICENSES {
        return Err(LicenseError::TooMany);
    }
    let key = match wanted.key {
        // One that reads as a key that was made here would take its place for who types it so.
        Some(key) if is_taken(&mut tx, &order.app, &key).await? => {
            return Err(LicenseError::KeyTaken);
        }
        Some(key) => key,
        None => LicenseKey::made(random::bytes()?),
    };
    let license = License {
        id: LicenseId::from_uuid(random::uuid(order.now)?),
        customer: wanted.customer,
        product: wanted.product,
        metadata: wanted.metadata,
        created_at: order.now,
        expires_at: wanted.expires_at,
        activations_limit: wanted.activations_limit,
        revoked: None,
        source: None,
    };
    let key = sealed(vault, &order.app, &license.id, &key)?;
    if !tx.license_add(&order.app, &license, &key).await? {
        return Err(LicenseError::KeyTaken);
    }
    let expires_at = license.expires_at.map(Timestamp::exact);
    let details = json!({"id": license.id, "product": license.product, "from": null,
        "to": license.status(order.now).as_str(), "expires_at": expires_at,
        "activations_limit": license.activations_limit});
    let audited = Some(&license.customer);
    order
        .audit(&mut tx, audited, "license_create", details)
        .await?;
    tx.commit().await?;
    Ok(OwnedLicense {
        license,
        key_hash: key.hash,
        sealed: key.sealed,
        activations: 0,
        customer,
        plans: Plans::new(),
    })
}

async fn is_taken(tx: &mut Tx, app: &AppSlug, key: &LicenseKey) -> Result<bool, StoreError> {
    let typed = TypedKey::read(key.text());
    Ok(tx.license_find_by_key(app, &typed).await?.is_some())
}
