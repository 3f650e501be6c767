//! What becomes of a licence after it was issued: another end, other metadata, another key, or none
//! of it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Changed, LicenseError, OwnedLicense, committed, sealed, seen};
use crate::domain::access::license::License;
use crate::domain::access::license_key::LicenseKey;
use crate::domain::customer::profile::Given;
use crate::domain::id::LicenseId;
use crate::domain::precondition::Precondition;
use crate::domain::time::Timestamp;
use crate::pipeline::order::Order;
use crate::random;
use crate::store::{Store, Tx};
use crate::vault::Vault;

/// What is to be changed of a licence. What is not given stays, `null` clears.
#[derive(Clone, Debug, Default)]
pub struct LicenseChange {
    /// The end of its life.
    pub expires_at: Given<Timestamp>,
    /// How many activations it may have at once. Those that there are stay.
    pub activations_limit: Given<u32>,
    /// Anything that the seller wants kept.
    pub metadata: Given<Map<String, Value>>,
}

/// For how long a licence is renewed.
#[derive(Clone, Copy, Debug)]
pub enum Renewal {
    /// Up to this time.
    Until(Timestamp),
    /// For so many days from its end on, or from now on if that is past.
    Days(u32),
}

/// Changes a licence.
///
/// # Errors
/// When there is no such licence, or it is in another state than `only_if` says.
pub async fn change(
    store: &Store,
    order: &Order,
    id: &LicenseId,
    wanted: LicenseChange,
    only_if: &Precondition,
) -> Result<Changed, LicenseError> {
    let (mut tx, owned) = seen(store, order, id, only_if).await?;
    let done = change_in(&mut tx, order, owned, wanted).await?;
    committed(tx, done).await
}

pub(super) async fn change_in(
    tx: &mut Tx,
    order: &Order,
    mut owned: OwnedLicense,
    wanted: LicenseChange,
) -> Result<Changed, LicenseError> {
    let before = owned.license.clone();
    let license = &mut owned.license;
    if let Some(expires_at) = wanted.expires_at {
        license.expires_at = expires_at;
    }
    if let Some(limit) = wanted.activations_limit {
        license.activations_limit = limit;
    }
    if let Some(metadata) = wanted.metadata {
        license.metadata = metadata.unwrap_or_default();
    }
    let changed = owned.license != before;
    if changed {
        put(tx, order, &before, &owned, "license_change").await?;
    }
    Ok(Changed { owned, changed })
}

/// Renews a licence. One that was revoked stays so.
///
/// # Errors
/// When there is no such licence, it is in another state than `only_if` says, it has no end or a later
/// one, the end would lie beyond what a time can say, or its customer was deleted: it would be valid for
/// nobody.
pub async fn renew(
    store: &Store,
    order: &Order,
    id: &LicenseId,
    renewal: Renewal,
    only_if: &Precondition,
) -> Result<Changed, LicenseError> {
    let (mut tx, owned) = seen(store, order, id, only_if).await?;
    let done = renew_in(&mut tx, order, owned, renewal).await?;
    committed(tx, done).await
}

pub(super) async fn renew_in(
    tx: &mut Tx,
    order: &Order,
    mut owned: OwnedLicense,
    renewal: Renewal,
) -> Result<Changed, LicenseError> {
    if owned.customer.is_gone() {
        return Err(LicenseError::CustomerDeleted);
    }
    let Some(end) = owned.license.expires_at else {
        return Err(LicenseError::Endless);
    };
    let later = match renewal {
        Renewal::Until(later) if later < end => return Err(LicenseError::EndsLater(end)),
        Renewal::Until(later) => later,
        Renewal::Days(days) => end.max(order.now).plus(day() * days),
    };
    if later >= Timestamp::LIMIT {
        return Err(LicenseError::TooLate);
    }
    let changed = later != end;
    if changed {
        let before = owned.license.clone();
        owned.license.expires_at = Some(later);
        put(tx, order, &before, &owned, "license_renew").await?;
    }
    Ok(Changed { owned, changed })
}

/// Gives a licence another key, made here. The one before is unknown from then on, and free.
///
/// # Errors
/// When there is no such licence, it is in another state than `only_if` says, or its customer was
/// deleted: it would be valid for nobody.
pub async fn reissue(
    store: &Store,
    vault: &Vault,
    order: &Order,
    id: &LicenseId,
    only_if: &Precondition,
) -> Result<OwnedLicense, LicenseError> {
    let (mut tx, mut owned) = seen(store, order, id, only_if).await?;
    if owned.customer.is_gone() {
        return Err(LicenseError::CustomerDeleted);
    }
    let key = LicenseKey::made(random::bytes()?);
    let key = sealed(vault, &order.app, id, &key)?;
    tx.license_rekey(&order.app, id, &key).await?;
    let status = owned.license.status(order.now).as_str();
    let details = json!({"id": id, "from": status, "to": status});
    let customer = Some(&owned.license.customer);
    order
        .audit(&mut tx, customer, "license_reissue", details)
        .await?;
    tx.commit().await?;
    owned.key_hash = key.hash;
    owned.sealed = key.sealed;
    Ok(owned)
}

/// Removes a licence. Its key is unknown from then on, and free.
///
/// # Errors
/// When there is no such licence, it is in another state than `only_if` says, or it was bought: the
/// next look at what it was bought with would make another one.
pub async fn delete(
    store: &Store,
    order: &Order,
    id: &LicenseId,
    only_if: &Precondition,
) -> Result<(), LicenseError> {
    let (mut tx, OwnedLicense { license, .. }) = seen(store, order, id, only_if).await?;
    if !license.may_be_deleted() {
        return Err(LicenseError::Bought);
    }
    tx.license_delete(&order.app, id).await?;
    let details = json!({"id": id, "product": license.product,
        "from": license.status(order.now).as_str(), "to": null});
    let customer = Some(&license.customer);
    order
        .audit(&mut tx, customer, "license_delete", details)
        .await?;
    tx.commit().await?;
    Ok(())
}

const fn day() -> Duration {
    Duration::from_hours(24)
}

/// Writes a changed licence, and what was before and after.
async fn put(
    tx: &mut Tx,
    order: &Order,
    before: &License,
    owned: &OwnedLicense,
    operation: &str,
) -> Result<(), LicenseError> {
    let license = &owned.license;
    tx.license_change(&order.app, license).await?;
    let (mut from, mut to) = (Map::new(), Map::new());
    let mut note = |name: &str, was: Value, is: Value| {
        if was != is {
            from.insert(name.to_owned(), was);
            to.insert(name.to_owned(), is);
        }
    };
    let end = |license: &License| json!(license.expires_at.map(Timestamp::exact));
    note("expires_at", end(before), end(license));
    let limit = |license: &License| json!(license.activations_limit);
    note("activations_limit", limit(before), limit(license));
    note("metadata", json!(before.metadata), json!(license.metadata));
    let details = json!({"id": license.id, "from": from, "to": to});
    let customer = Some(&license.customer);
    order.audit(tx, customer, operation, details).await?;
    Ok(())
}
