//! Activations of licences: taking places and giving them back.
//!
//! The transaction of a change is the only one that writes in its app, so a limit holds however many
//! ask at once.

use serde_json::json;

use super::{LicenseError, OwnedLicense, known, owned};
use crate::domain::access::activation::{Activation, places};
use crate::domain::access::license_key::TypedKey;
use crate::domain::id::{ActivationId, AppSlug, CustomerId, LicenseId};
use crate::pipeline::customers::{FindError, shown};
use crate::pipeline::order::Order;
use crate::random;
use crate::store::{Listed, Store, StoreError, Tx, Window};

/// A place to be taken.
#[derive(Clone, Debug)]
pub struct ActivationOrder {
    /// The key of the licence.
    pub key: TypedKey,
    /// The product that it must be for; `None` takes any.
    pub product: Option<String>,
    /// What the program knows the machine by.
    pub fingerprint: String,
    /// A name for people.
    pub name: Option<String>,
}

/// The places of a licence.
#[derive(Clone, Debug)]
pub struct Places {
    /// The licence.
    pub license: LicenseId,
    /// How many are taken.
    pub taken: u64,
    /// How many may be taken, if that is limited.
    pub limit: Option<u32>,
}

/// A place after an order.
#[derive(Clone, Debug)]
pub struct Activated {
    /// The activation.
    pub activation: Activation,
    /// The product of the licence.
    pub product: String,
    /// The places of the licence.
    pub places: Places,
    /// The order changed something: the place was free.
    pub changed: bool,
}

/// The places of a licence after one may have been given back.
#[derive(Clone, Debug)]
pub struct Deactivated {
    /// The places of the licence.
    pub places: Places,
    /// The order changed something: the place was taken.
    pub changed: bool,
}

/// Takes a place. A fingerprint that is active already keeps the place and the name that it has.
///
/// # Errors
/// When no licence has this key, it is not valid, or all its places are taken.
pub async fn activate(
    store: &Store,
    order: &Order,
    wanted: ActivationOrder,
) -> Result<Activated, LicenseError> {
    let mut tx = store.begin_in(&order.app).await?;
    let found = by_key(&mut tx, &order.app, &wanted.key).await?;
    let license = &found.license;
    if !license.is_for(wanted.product.as_deref()) {
        return Err(LicenseError::NotFound);
    }
    let code = license.judge(&found.customer, &found.plans, order.now);
    if !code.is_valid() {
        return Err(LicenseError::Invalid(code));
    }
    let present = tx.activation_find(&license.id, &wanted.fingerprint).await?;
    if let Some(activation) = present {
        return Ok(Activated {
            activation,
            places: places_of(&found),
            product: found.license.product,
            changed: false,
        });
    }
    let places = places(found.activations_allowed());
    if found.activations >= u64::from(places) {
        return Err(LicenseError::Full {
            taken: found.activations,
            places,
        });
    }
    let activation = Activation {
        id: ActivationId::from_uuid(random::uuid(order.now)?),
        license: license.id.clone(),
        fingerprint: wanted.fingerprint,
        name: wanted.name,
        created_at: order.now,
    };
    let changed = tx.activation_add(&activation).await?;
    let product = license.product.clone();
    let places = audited(&mut tx, order, found, &activation.id, Step::Taken).await?;
    tx.commit().await?;
    Ok(Activated {
        activation,
        product,
        places,
        changed,
    })
}

/// Gives a place back, of a licence in whatever state.
///
/// # Errors
/// When no licence has this key.
pub async fn deactivate(
    store: &Store,
    order: &Order,
    key: &TypedKey,
    fingerprint: &str,
) -> Result<Deactivated, LicenseError> {
    let mut tx = store.begin_in(&order.app).await?;
    let found = by_key(&mut tx, &order.app, key).await?;
    let present = tx.activation_find(&found.license.id, fingerprint).await?;
    let Some(activation) = present else {
        return Ok(Deactivated {
            places: places_of(&found),
            changed: false,
        });
    };
    tx.activation_delete(&found.license.id, &activation.id)
        .await?;
    let places = audited(&mut tx, order, found, &activation.id, Step::Free).await?;
    tx.commit().await?;
    Ok(Deactivated {
        places,
        changed: true,
    })
}

/// Finds a licence and, if it is still there, its activation of this id.
///
/// # Errors
/// When there is no such licence.
pub async fn find(
    store: &Store,
    app: &AppSlug,
    license: &LicenseId,
    id: &ActivationId,
) -> Result<(OwnedLicense, Option<Activation>), LicenseError> {
    let mut tx = store.read().await?;
    let found = known(&mut tx, app, license).await?;
    let activation = tx.activation_show(license, id).await?;
    Ok((found, activation))
}

/// Gives a place of a licence back, by the id of its activation.
///
/// # Errors
/// When there is no such licence, or it has no such activation.
pub async fn delete(
    store: &Store,
    order: &Order,
    license: &LicenseId,
    id: &ActivationId,
) -> Result<(), LicenseError> {
    let mut tx = store.begin_in(&order.app).await?;
    let found = known(&mut tx, &order.app, license).await?;
    if !tx.activation_delete(license, id).await? {
        return Err(LicenseError::NotActive);
    }
    audited(&mut tx, order, found, id, Step::Free).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives all places of a licence back; returns how many were taken.
///
/// # Errors
/// When there is no such licence.
pub async fn clear(store: &Store, order: &Order, license: &LicenseId) -> Result<u64, LicenseError> {
    let mut tx = store.begin_in(&order.app).await?;
    let found = known(&mut tx, &order.app, license).await?;
    let taken = tx.activation_clear(license).await?;
    if taken > 0 {
        let details = json!({"id": null, "license": license, "from": taken, "to": 0});
        let customer = Some(&found.license.customer);
        order
            .audit(&mut tx, customer, "activation_delete", details)
            .await?;
        tx.commit().await?;
    }
    Ok(taken)
}

/// Lists the activations of a licence, the newest first.
///
/// # Errors
/// When there is no such licence.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    license: &LicenseId,
    window: &Window,
) -> Result<Listed<Activation>, LicenseError> {
    let mut tx = store.read().await?;
    known(&mut tx, app, license).await?;
    Ok(tx.activation_list(license, window).await?)
}

/// Lists the activations of all licences of a customer, the newest first.
///
/// # Errors
/// When there is no such customer.
pub async fn list_of(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
    window: &Window,
) -> Result<Listed<Activation>, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, customer).await?;
    Ok(tx.activation_list_of(app, &customer.id, window).await?)
}

async fn by_key(tx: &mut Tx, app: &AppSlug, key: &TypedKey) -> Result<OwnedLicense, LicenseError> {
    let found = tx.license_find_by_key(app, key).await?;
    let found = found.ok_or(LicenseError::NotFound)?;
    owned(tx, app, found).await?.ok_or(LicenseError::NotFound)
}

fn places_of(found: &OwnedLicense) -> Places {
    Places {
        license: found.license.id.clone(),
        taken: found.activations,
        limit: found.activations_allowed(),
    }
}

/// What becomes of a place.
#[derive(Clone, Copy)]
enum Step {
    Taken,
    Free,
}

/// Writes down what became of a place. The audit names ids only: what the program calls the machine
/// may be about a person.
async fn audited(
    tx: &mut Tx,
    order: &Order,
    found: OwnedLicense,
    id: &ActivationId,
    step: Step,
) -> Result<Places, StoreError> {
    let from = found.activations;
    let (operation, to) = match step {
        Step::Taken => ("activation_add", from + 1),
        Step::Free => ("activation_delete", from.saturating_sub(1)),
    };
    let license = &found.license;
    let details = json!({"id": id, "license": license.id, "from": from, "to": to});
    let customer = Some(&license.customer);
    order.audit(tx, customer, operation, details).await?;
    Ok(Places {
        taken: to,
        ..places_of(&found)
    })
}
