//! Licences: issuing, changing, revoking and validating them.

pub mod activations;
pub mod change;
pub mod issue;
pub mod preview;
pub mod validate;

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::json;

use super::customers::{FindError, shown};
use super::order::Order;
use super::owed_licenses::sealed;
use crate::domain::access::license::{License, LicenseCode, Revocation};
use crate::domain::access::license_key::KeyHash;
use crate::domain::access::plan::Plans;
use crate::domain::customer::act::ActError;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, LicenseId};
use crate::domain::precondition::{Precondition, Stale, StateTag};
use crate::domain::time::Timestamp;
use crate::random::RandomError;
use crate::store::{LicenseFilter, Listed, SealedLicense, Store, StoreError, Tx, Window};
use crate::vault::{SealedFor, Vault, VaultError};

/// Most licences of one customer.
const MAX_LICENSES: u64 = 10_000;

/// Why no licence was issued, revoked or reinstated.
#[derive(Debug, thiserror::Error)]
pub enum LicenseError {
    /// There is no such licence.
    #[error("there is no such licence")]
    NotFound,
    /// Another licence of the app has this key.
    #[error("another licence has this key")]
    KeyTaken,
    /// There is no customer of this id, or it was merged into another.
    #[error(transparent)]
    NoCustomer(ActError),
    /// The customer was deleted: the licence would be valid for nobody.
    #[error("the customer was deleted")]
    CustomerDeleted,
    /// It never ends, so there is nothing to renew.
    #[error("the licence never ends")]
    Endless,
    /// It would end later than a time can say.
    #[error("the days lead beyond 2262-04-11T23:47:16Z, the limit of times here")]
    TooLate,
    /// It ends later than it would after the renewal.
    #[error("the licence ends at {0}")]
    EndsLater(Timestamp),
    /// It belongs to something that was bought, and would be made again.
    #[error("the licence belongs to what was bought, and would be made again: revoke it instead")]
    Bought,
    /// It is not valid, so it is activated nowhere.
    #[error("the licence {}", .0.reason())]
    Invalid(LicenseCode),
    /// All its places are taken.
    #[error(
        "{taken} of {places} activations are taken: deactivate one that is not in use any more"
    )]
    Full {
        /// How many are.
        taken: u64,
        /// How many there are.
        places: u32,
    },
    /// It has no such activation.
    #[error("the licence has no such activation")]
    NotActive,
    /// It has changed since it was read.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The customer has as many licences as it may have.
    #[error("the customer has {MAX_LICENSES} licences")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// There was no randomness.
    #[error("the licence could not be made")]
    Random(#[from] RandomError),
    /// The key could not be sealed.
    #[error("the key could not be sealed")]
    Vault(#[from] VaultError),
}

impl From<FindError> for LicenseError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Act(source) => Self::NoCustomer(source),
            FindError::Store(source) => Self::Store(source),
        }
    }
}

/// A licence, and the customer whose it is now.
#[derive(Clone, Debug)]
pub struct OwnedLicense {
    /// The licence.
    pub license: License,
    /// What its key is found by.
    pub key_hash: KeyHash,
    /// Its key, as the vault sealed it.
    pub sealed: Vec<u8>,
    /// How many activations it has.
    pub activations: u64,
    /// The customer.
    pub customer: Customer,
    /// The plans of what the customer has bought, where validity depends on them.
    pub plans: Plans,
}

impl OwnedLicense {
    /// Returns how many activations it may have at once, if that is limited.
    pub fn activations_allowed(&self) -> Option<u32> {
        self.license
            .activations_allowed(&self.customer, &self.plans)
    }

    /// Returns the tag of the licence and its key. It depends neither on what its customer is now, nor
    /// on where it is in use, nor on what its key is sealed with.
    pub fn state_tag(&self) -> StateTag {
        let license = &self.license;
        let revoked = license.revoked.as_ref();
        StateTag::of(&(
            (&license.id, &license.customer, &license.product),
            &license.metadata,
            (
                license.expires_at.map(Timestamp::exact),
                license.activations_limit,
            ),
            revoked.map(|it| (it.at.exact(), &it.reason)),
            self.key_hash.as_bytes(),
        ))
    }
}

/// Opens the sealed key of a licence; `None` if no key that is set opens it.
pub fn key_of(vault: &Vault, app: &AppSlug, id: &LicenseId, sealed: &[u8]) -> Option<String> {
    let opened = vault.open(SealedFor::License { app, id }, sealed).ok()?;
    Some(opened.expose_secret().to_owned())
}

/// Some licences, and the customers whose they are now.
#[derive(Clone, Debug)]
pub struct LicensePage {
    /// The licences.
    pub part: Listed<SealedLicense>,
    /// By the row that a licence was issued to, the customer whose it is now.
    pub customers: BTreeMap<CustomerId, Customer>,
    /// The plans of what they have bought, where validity depends on them.
    pub plans: Plans,
    /// How many activations they have, of those that have any.
    pub activations: BTreeMap<LicenseId, u64>,
}

/// A licence after an order.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The licence as it is now.
    pub owned: OwnedLicense,
    /// The order changed something.
    pub changed: bool,
}

/// Lists licences, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    filter: &LicenseFilter,
    window: &Window,
) -> Result<LicensePage, StoreError> {
    let mut tx = store.read().await?;
    page(&mut tx, app, filter, window).await
}

/// Lists a customer's licences, the newest first.
///
/// # Errors
/// When there is no such customer.
pub async fn list_of(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
    window: &Window,
) -> Result<LicensePage, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, customer).await?;
    let filter = LicenseFilter {
        customer: Some(customer.id),
        ..LicenseFilter::default()
    };
    Ok(page(&mut tx, app, &filter, window).await?)
}

/// Finds a licence.
///
/// # Errors
/// When there is no such licence.
pub async fn find(
    store: &Store,
    app: &AppSlug,
    id: &LicenseId,
) -> Result<OwnedLicense, LicenseError> {
    let mut tx = store.read().await?;
    known(&mut tx, app, id).await
}

/// Revokes a licence. One that is revoked already keeps the time and the reason that it has.
///
/// # Errors
/// When there is no such licence, or it is in another state than `only_if` says.
pub async fn revoke(
    store: &Store,
    order: &Order,
    id: &LicenseId,
    reason: Option<String>,
    only_if: &Precondition,
) -> Result<Changed, LicenseError> {
    let (mut tx, owned) = seen(store, order, id, only_if).await?;
    let done = revoke_in(&mut tx, order, owned, reason).await?;
    committed(tx, done).await
}

async fn revoke_in(
    tx: &mut Tx,
    order: &Order,
    mut owned: OwnedLicense,
    reason: Option<String>,
) -> Result<Changed, LicenseError> {
    let changed = owned.license.revoked.is_none();
    if changed {
        let at = order.now;
        let revoked = Some(Revocation { at, reason });
        set_revoked(tx, order, &mut owned.license, revoked).await?;
    }
    Ok(Changed { owned, changed })
}

/// Ends the transaction of a change, if there was one.
async fn committed(tx: Tx, done: Changed) -> Result<Changed, LicenseError> {
    if done.changed {
        tx.commit().await?;
    }
    Ok(done)
}

/// Reinstates a licence that was revoked.
///
/// # Errors
/// When there is no such licence, it is in another state than `only_if` says, or its customer was
/// deleted: it would be valid for nobody.
pub async fn reinstate(
    store: &Store,
    order: &Order,
    id: &LicenseId,
    only_if: &Precondition,
) -> Result<Changed, LicenseError> {
    let (mut tx, owned) = seen(store, order, id, only_if).await?;
    let done = reinstate_in(&mut tx, order, owned).await?;
    committed(tx, done).await
}

async fn reinstate_in(
    tx: &mut Tx,
    order: &Order,
    mut owned: OwnedLicense,
) -> Result<Changed, LicenseError> {
    if owned.customer.is_gone() {
        return Err(LicenseError::CustomerDeleted);
    }
    let changed = owned.license.revoked.is_some();
    if changed {
        set_revoked(tx, order, &mut owned.license, None).await?;
    }
    Ok(Changed { owned, changed })
}

async fn page(
    tx: &mut Tx,
    app: &AppSlug,
    filter: &LicenseFilter,
    window: &Window,
) -> Result<LicensePage, StoreError> {
    let part = tx.license_list(app, filter, window).await?;
    let customers = tx
        .customers_of_rows(app, part.rows.iter().map(|it| &it.license.customer))
        .await?;
    let licenses = part.rows.iter().map(|it| &it.license);
    let plans = tx.plans_for_licenses(app, licenses, &customers).await?;
    let ids = part.rows.iter().map(|it| &it.license.id);
    let activations = tx.activation_count(ids).await?;
    Ok(LicensePage {
        part,
        customers,
        plans,
        activations,
    })
}

async fn known(tx: &mut Tx, app: &AppSlug, id: &LicenseId) -> Result<OwnedLicense, LicenseError> {
    let found = tx.license_find(app, id).await?;
    let license = found.ok_or(LicenseError::NotFound)?;
    owned(tx, app, license).await?.ok_or(LicenseError::NotFound)
}

/// Begins the transaction of a change, with the licence in the state that the change is meant for.
async fn seen(
    store: &Store,
    order: &Order,
    id: &LicenseId,
    only_if: &Precondition,
) -> Result<(Tx, OwnedLicense), LicenseError> {
    let mut tx = store.begin_in(&order.app).await?;
    let owned = known(&mut tx, &order.app, id).await?;
    only_if.check(Some(&owned.state_tag()))?;
    Ok((tx, owned))
}

/// A licence with the customer whose it is now; `None` if that customer is gone.
async fn owned(
    tx: &mut Tx,
    app: &AppSlug,
    SealedLicense {
        license,
        key_hash,
        sealed,
    }: SealedLicense,
) -> Result<Option<OwnedLicense>, StoreError> {
    let mut customers = tx.customers_of_rows(app, [&license.customer]).await?;
    let plans = tx.plans_for_licenses(app, [&license], &customers).await?;
    let customer = customers.remove(&license.customer);
    let mut activations = tx.activation_count([&license.id]).await?;
    Ok(customer.map(|customer| OwnedLicense {
        activations: activations.remove(&license.id).unwrap_or_default(),
        license,
        key_hash,
        sealed,
        customer,
        plans,
    }))
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
    let reason = order.reason.clone().or(from_reason);
    let details = json!({"id": license.id, "from": from.as_str(),
        "to": license.status(order.now).as_str(), "reason": reason.or(reason_of(license))});
    order
        .audit(tx, Some(&license.customer), operation, details)
        .await
}
