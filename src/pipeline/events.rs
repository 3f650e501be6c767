//! Reading the event ledger.

use super::customers::{FindError, shown};
use crate::domain::id::{AppSlug, CustomerId};
use crate::store::{EventFilter, EventRecord, Listed, Store, StoreError, Window};

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
    store.read().await?.event_list(app, filter, window).await
}

/// Lists the events that concerned a customer, the newest first.
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
