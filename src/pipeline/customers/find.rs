//! Finding customers, for people and programs that name them in different ways.

use crate::domain::customer::act::ActError;
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::provider;
use crate::store::{CustomerFilter, Granted, Listed, Store, StoreError, Tx, Window};

/// Why a customer cannot be shown, or takes no changes.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is none, or not any more.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// A name by which a customer is looked up.
#[derive(Clone, Copy, Debug)]
pub enum Named<'a> {
    /// Its own id.
    Id(&'a CustomerId),
    /// An external id or the id of a billing account, in any spelling.
    External(&'a str),
    /// An e-mail address, in any case.
    Email(&'a str),
}

/// A customer with its grants, the plans that it pays for, and the releases that count for it.
#[derive(Clone, Debug)]
pub struct CustomerDetails {
    /// The customer.
    pub customer: Customer,
    /// Everything that is granted to it.
    pub granted: Granted,
}

/// Some of an app's customers, with everything that is granted to them.
#[derive(Clone, Debug)]
pub struct CustomerPage {
    /// The customers.
    pub part: Listed<Customer>,
    /// Everything that is granted to any of them.
    pub granted: Granted,
}

/// Finds a customer. Deleted ones are found while their rows are kept.
///
/// # Errors
/// When there is no such customer, or it was merged into another.
pub async fn find(
    store: &Store,
    app: &AppSlug,
    named: Named<'_>,
    now: Timestamp,
) -> Result<CustomerDetails, FindError> {
    let mut tx = store.read().await?;
    let found = match named {
        Named::Id(id) => Some(shown(&mut tx, app, id).await?),
        Named::External(external_id) => {
            let others = provider::other_spellings(external_id);
            tx.customer_find_by_external(app, external_id, &others)
                .await?
        }
        Named::Email(email) => tx.customer_find_by_email(app, email).await?,
    };
    let customer = found.ok_or(ActError::Unknown)?;
    Ok(details(&mut tx, app, customer, now).await?)
}

/// Finds a customer that was neither deleted nor merged into another, and only the customer.
///
/// # Errors
/// When there is no such customer.
pub async fn find_living(
    store: &Store,
    app: &AppSlug,
    id: &CustomerId,
) -> Result<Customer, FindError> {
    let mut tx = store.read().await?;
    living(&mut tx, app, id).await
}

/// Lists customers with everything that is granted to them, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    filter: &CustomerFilter,
    window: &Window,
    now: Timestamp,
) -> Result<CustomerPage, StoreError> {
    let mut tx = store.read().await?;
    let part = tx.customer_list(app, filter, window).await?;
    let mut granted = granted(&mut tx, app, &part.rows, now).await?;
    let flags = part.rows.iter().flat_map(|it| &it.derived.flags);
    granted.links = tx.flag_links(app, flags).await?;
    Ok(CustomerPage { part, granted })
}

/// Lists customers alone, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list_alone(
    store: &Store,
    app: &AppSlug,
    filter: &CustomerFilter,
    window: &Window,
) -> Result<Listed<Customer>, StoreError> {
    let mut tx = store.read().await?;
    tx.customer_list(app, filter, window).await
}

/// Everything that is granted to a customer, beside the customer itself.
pub(in crate::pipeline) async fn details(
    tx: &mut Tx,
    app: &AppSlug,
    customer: Customer,
    now: Timestamp,
) -> Result<CustomerDetails, StoreError> {
    let only = std::slice::from_ref(&customer);
    let mut granted = granted(tx, app, only, now).await?;
    granted.links = tx.flag_links(app, &customer.derived.flags).await?;
    Ok(CustomerDetails { customer, granted })
}

/// Everything that is granted to some customers, and why events of theirs failed.
async fn granted(
    tx: &mut Tx,
    app: &AppSlug,
    customers: &[Customer],
    now: Timestamp,
) -> Result<Granted, StoreError> {
    let mut granted = tx.access_granted(app, customers, now).await?;
    let ids = customers.iter().map(|customer| &customer.id);
    granted.failures = tx.event_failures_of(app, ids).await?;
    Ok(granted)
}

/// A customer that may be deleted softly, but not merged into another.
pub(in crate::pipeline) async fn shown(
    tx: &mut Tx,
    app: &AppSlug,
    id: &CustomerId,
) -> Result<Customer, FindError> {
    let found = tx.customer_find(app, id).await?;
    let customer = found.ok_or(ActError::Unknown)?;
    match customer.merged_into {
        Some(into) => Err(ActError::Merged { into }.into()),
        None => Ok(customer),
    }
}

/// A customer that takes changes.
pub(in crate::pipeline) async fn living(
    tx: &mut Tx,
    app: &AppSlug,
    id: &CustomerId,
) -> Result<Customer, FindError> {
    let customer = shown(tx, app, id).await?;
    match customer.deleted_at {
        Some(_) => Err(ActError::Deleted.into()),
        None => Ok(customer),
    }
}
