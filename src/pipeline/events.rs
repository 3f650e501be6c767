//! Reading the event ledger.

use super::customers::{FindError, shown};
use crate::domain::id::{AppSlug, CustomerId};
use crate::provider;
use crate::store::{EventFilter, EventRecord, FailureGroup, Listed, Store, StoreError, Tx, Window};

/// Lists events without their payloads, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    filter: &EventFilter,
    window: &Window,
) -> Result<Listed<EventRecord>, StoreError> {
    let mut tx = store.read().await?;
    let filter = resolved(&mut tx, app, filter).await?;
    tx.event_list(app, &filter, window).await
}

/// Lists the events that concerned a customer, and those of its billing accounts that were not
/// processed, the newest first.
///
/// # Errors
/// When there is no such customer.
pub async fn list_of(
    store: &Store,
    app: &AppSlug,
    customer: &CustomerId,
    window: &Window,
) -> Result<Listed<EventRecord>, FindError> {
    let mut tx = store.read().await?;
    let customer = shown(&mut tx, app, customer).await?;
    let filter = EventFilter {
        customer: Some(customer.id),
        ..EventFilter::default()
    };
    Ok(tx.event_list(app, &filter, window).await?)
}

/// Groups failed events by the reason and the type, the largest group first.
///
/// # Errors
/// When the store failed.
pub async fn failures(
    store: &Store,
    app: &AppSlug,
    filter: &EventFilter,
) -> Result<Vec<FailureGroup>, StoreError> {
    let mut tx = store.read().await?;
    let filter = resolved(&mut tx, app, filter).await?;
    tx.event_failures(app, &filter).await
}

/// Finds the customer whom the external id of a filter means today.
pub(super) async fn resolved(
    tx: &mut Tx,
    app: &AppSlug,
    filter: &EventFilter,
) -> Result<EventFilter, StoreError> {
    let mut filter = filter.clone();
    if let Some(external) = &mut filter.external {
        let others = provider::other_spellings(&external.id);
        let found = tx
            .customer_find_by_external(app, &external.id, &others)
            .await?;
        external.customer = found.map(|customer| customer.id);
    }
    Ok(filter)
}

/// Finds an event with its payload; `None` if the app's ledger has none of this id.
///
/// # Errors
/// When the store failed.
pub async fn find(
    store: &Store,
    app: &AppSlug,
    id: &str,
) -> Result<Option<EventRecord>, StoreError> {
    store.read().await?.event_find(app, id).await
}
