//! Acts on due times: the end of a grace, the date of a scheduled cancellation.
//!
//! A due time is a column of its customer and is found by index. Acting on one means deriving the
//! customer anew. That may be done by any worker, any number of times, with the same result; the
//! new due time replaces the old one in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::order::audit_entries;
use super::owed_licenses;
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::store::{Actor, LockMode, Store, StoreError, Tx};

/// Maximum number of customers of one transaction, which holds a write lock while they are derived.
pub(super) const MOST: u32 = 200;

/// Acts on due times until none is left; returns the number of customers derived.
///
/// # Errors
/// When the store failed. Earlier transactions stay committed.
pub async fn run_due(store: &Store, now: Timestamp) -> Result<usize, StoreError> {
    let mut total = 0;
    loop {
        let mut tx = store.begin().await?;
        let due = tx.customer_due(now, MOST.into()).await?;
        if due.is_empty() {
            return Ok(total);
        }
        total += due.len();
        let mut by_app: BTreeMap<AppSlug, BTreeSet<CustomerId>> = BTreeMap::new();
        for (app, id) in due {
            by_app.entry(app).or_default().insert(id);
        }
        tx.lock_apps(by_app.keys(), LockMode::Exclusive).await?;
        for (app, customers) in by_app {
            derive(&mut tx, &app, customers, &Actor::Timer, now).await?;
        }
        tx.commit().await?;
    }
}

/// Derives some customers of an app anew, in a transaction that holds the app's exclusive lock.
pub(super) async fn derive(
    tx: &mut Tx,
    app: &AppSlug,
    customers: BTreeSet<CustomerId>,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let lookup_keys = LookupKeys {
        customers,
        ..LookupKeys::default()
    };
    let mut working_set = tx.working_set_load(app, &lookup_keys).await?;
    let changes = working_set.tick(now);
    working_set.asks = tx.api_key_providers(app).await?;
    let doubts = working_set.doubts(std::iter::empty(), std::iter::empty());
    let made = owed_licenses::save(tx, app, &working_set, now).await?;
    tx.refetch_want(app, &doubts, now).await?;
    let mut entries = audit_entries(app, actor, &changes, now);
    let made = made.iter();
    entries.extend(made.map(|it| owed_licenses::audit_entry(app, actor, it, now)));
    tx.audit_add(&entries).await
}
