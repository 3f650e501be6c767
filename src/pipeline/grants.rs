//! Grants by hand: packages that an admin gives to a customer, beside those that its plans give.

use std::collections::BTreeSet;

use serde_json::json;

use super::customers::{CustomerDetails, FindError, details, living, shown};
use super::order::Order;
use super::package_texts::{PackageTextError, check_grants, in_list};
use super::timers::derive;
use crate::domain::access::hand_grant::HandGrant;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::store::{Actor, GivenGrant, Store, StoreError, Tx};

/// Most packages that are granted by hand to one customer. All of them are read for each access check.
pub const MAX_GRANTS: usize = 1_000;

/// Why packages were not granted or revoked.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The customer cannot be shown, or takes no changes.
    #[error(transparent)]
    Customer(#[from] FindError),
    /// A package is none, or its scheme cannot read the constraint.
    #[error(transparent)]
    Package(#[from] PackageTextError),
    /// The customer has no grant by hand for this package.
    #[error("the customer has no grant by hand for this package")]
    NotFound,
    /// The customer has as many grants by hand as it may have.
    #[error("the customer has {MAX_GRANTS} packages by hand; revoke one first")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// A grant by hand after an order.
#[derive(Clone, Debug)]
pub struct Given {
    /// The grant.
    pub grant: GivenGrant,
    /// The customer had none for this package.
    pub is_new: bool,
    /// The order changed something.
    pub changed: bool,
}

/// A customer after all its grants by hand were set.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The customer, with everything that it may have now.
    pub details: CustomerDetails,
    /// The order changed something.
    pub changed: bool,
}

/// Finds a customer and everything that is granted to it, by hand and by its plans.
///
/// # Errors
/// When there is no such customer.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    id: &CustomerId,
    now: Timestamp,
) -> Result<CustomerDetails, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, id).await?;
    Ok(details(&mut tx, app, customer, now).await?)
}

/// Grants a package by hand, in place of what was granted by hand for the same package.
///
/// # Errors
/// When there is no such customer, it was deleted, it has too many grants, or the constraint cannot be
/// read.
pub async fn grant(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    grant: HandGrant,
) -> Result<Given, GrantError> {
    let mut tx = store.begin_in(&order.app).await?;
    let given = grant_in(&mut tx, order, id, grant).await?;
    tx.commit().await?;
    Ok(given)
}

/// Shows what [`grant`] would do, and does nothing: the transaction is never committed. What the
/// customer has then is read in it.
///
/// # Errors
/// As those of [`grant`].
pub async fn preview(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    grant: HandGrant,
) -> Result<CustomerDetails, GrantError> {
    let mut tx = store.begin_in(&order.app).await?;
    grant_in(&mut tx, order, id, grant).await?;
    let customer = living(&mut tx, &order.app, id).await?;
    Ok(details(&mut tx, &order.app, customer, order.now).await?)
}

/// Grants a package by hand in the transaction of a larger act.
pub(super) async fn grant_in(
    tx: &mut Tx,
    order: &Order,
    id: &CustomerId,
    grant: HandGrant,
) -> Result<Given, GrantError> {
    let customer = living(tx, &order.app, id).await?;
    let only = std::iter::once(&grant.grant);
    check_grants(tx, &order.app, only, |_| String::new()).await?;
    let mut known = by_hand(tx, &order.app, &customer.id).await?;
    tell_of_ended(tx, order, &customer.id, &known).await?;
    let number = known.len();
    known.retain(|it| it.grant.grant.package == grant.grant.package);
    let is_new = known.is_empty();
    if is_new && number >= MAX_GRANTS {
        return Err(GrantError::TooMany);
    }
    Ok(match known.as_slice() {
        [only] if only.grant == grant => Given {
            grant: only.clone(),
            is_new,
            changed: false,
        },
        _ => {
            let grant = give(tx, order, customer.id.clone(), grant, &known).await?;
            derive_now(tx, order, &customer.id).await?;
            Given {
                grant,
                is_new,
                changed: true,
            }
        }
    })
}

/// Gives a customer one grant for a package in place of those that it has; merged rows can have
/// left several.
async fn give(
    tx: &mut Tx,
    order: &Order,
    given_to: CustomerId,
    grant: HandGrant,
    known: &[GivenGrant],
) -> Result<GivenGrant, StoreError> {
    let package = grant.grant.package.as_str();
    tx.grant_delete(&order.app, &given_to, [package]).await?;
    let grants = std::slice::from_ref(&grant);
    tx.grant_put(&order.app, &given_to, grants, order.now)
        .await?;
    let details = json!({"source": "manual", "package": package, "from": terms(known),
        "to": [&grant]});
    order.audit(tx, Some(&given_to), "grant", details).await?;
    Ok(GivenGrant {
        given_to,
        grant,
        created_at: order.now,
    })
}

/// Acts on the end of grants before they are removed, which the timer may not have done yet: afterwards nobody
/// could be told of it.
async fn tell_of_ended(
    tx: &mut Tx,
    order: &Order,
    id: &CustomerId,
    known: &[GivenGrant],
) -> Result<(), StoreError> {
    let mut ends = known.iter().filter_map(|it| it.grant.expires_at);
    if ends.any(|end| end <= order.now) {
        let customers = BTreeSet::from([id.clone()]);
        derive(tx, &order.app, customers, &Actor::Timer, order.now).await?;
    }
    Ok(())
}

/// Derives a customer anew: whether it has grants by hand, and until when, is part of how it
/// stands.
async fn derive_now(tx: &mut Tx, order: &Order, id: &CustomerId) -> Result<(), StoreError> {
    let customers = BTreeSet::from([id.clone()]);
    derive(tx, &order.app, customers, &order.actor, order.now).await
}

/// Sets all grants by hand of a customer.
///
/// # Errors
/// When there is no such customer, it was deleted, or a constraint cannot be read.
pub async fn replace(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    wanted: &[HandGrant],
) -> Result<Replaced, GrantError> {
    let mut tx = store.begin_in(&order.app).await?;
    let customer = living(&mut tx, &order.app, id).await?;
    let grants = wanted.iter().map(|it| &it.grant);
    check_grants(&mut tx, &order.app, grants, in_list).await?;
    let known = by_hand(&mut tx, &order.app, &customer.id).await?;
    tell_of_ended(&mut tx, order, &customer.id, &known).await?;
    let before: BTreeSet<&HandGrant> = known.iter().map(|it| &it.grant).collect();
    let after: BTreeSet<&HandGrant> = wanted.iter().collect();
    let changed = before != after || known.len() != wanted.len();
    if changed {
        let gone = before
            .difference(&after)
            .map(|it| it.grant.package.as_str());
        tx.grant_delete(&order.app, &customer.id, gone.collect::<Vec<_>>())
            .await?;
        let new: Vec<HandGrant> = after.difference(&before).map(|&it| it.clone()).collect();
        tx.grant_put(&order.app, &customer.id, &new, order.now)
            .await?;
        let details = json!({"source": "manual", "from": before, "to": after});
        order
            .audit(&mut tx, Some(&customer.id), "grant", details)
            .await?;
        derive_now(&mut tx, order, &customer.id).await?;
    }
    let customer = shown(&mut tx, &order.app, id).await?;
    let details = details(&mut tx, &order.app, customer, order.now).await?;
    tx.commit().await?;
    Ok(Replaced { details, changed })
}

/// Revokes the grants by hand for a package. What plans give ends with the plans.
///
/// # Errors
/// When there is no such customer, it was deleted, or it has no such grant.
pub async fn revoke(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    package: &str,
) -> Result<(), GrantError> {
    let mut tx = store.begin_in(&order.app).await?;
    revoke_in(&mut tx, order, id, package).await?;
    Ok(tx.commit().await?)
}

/// Shows what [`revoke`] would do, and does nothing: the transaction is never committed. What the
/// customer has then is read in it.
///
/// # Errors
/// As those of [`revoke`].
pub async fn preview_revoke(
    store: &Store,
    order: &Order,
    id: &CustomerId,
    package: &str,
) -> Result<CustomerDetails, GrantError> {
    let mut tx = store.begin_in(&order.app).await?;
    revoke_in(&mut tx, order, id, package).await?;
    let customer = living(&mut tx, &order.app, id).await?;
    Ok(details(&mut tx, &order.app, customer, order.now).await?)
}

async fn revoke_in(
    tx: &mut Tx,
    order: &Order,
    id: &CustomerId,
    package: &str,
) -> Result<(), GrantError> {
    let customer = living(tx, &order.app, id).await?;
    let mut known = by_hand(tx, &order.app, &customer.id).await?;
    tell_of_ended(tx, order, &customer.id, &known).await?;
    known.retain(|it| it.grant.grant.package == package);
    if known.is_empty() {
        return Err(GrantError::NotFound);
    }
    tx.grant_delete(&order.app, &customer.id, [package]).await?;
    let details = json!({"source": "manual", "package": package, "from": terms(&known),
        "to": []});
    order
        .audit(tx, Some(&customer.id), "revoke", details)
        .await?;
    Ok(derive_now(tx, order, &customer.id).await?)
}

/// All grants by hand of a customer.
async fn by_hand(
    tx: &mut Tx,
    app: &AppSlug,
    id: &CustomerId,
) -> Result<Vec<GivenGrant>, StoreError> {
    let mut known = tx.grant_list(app, [id]).await?;
    Ok(known.remove(id).unwrap_or_default())
}

fn terms(grants: &[GivenGrant]) -> Vec<&HandGrant> {
    grants.iter().map(|it| &it.grant).collect()
}
