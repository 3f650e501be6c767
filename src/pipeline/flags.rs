//! Clearing flags: an admin has looked at something.

use std::collections::BTreeSet;

use serde_json::json;

use super::order::Order;
use super::order::audit_entries;
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::customer::act::ActError;
use crate::domain::customer::flag::{FlagHolder, FlagId};
use crate::store::{Store, StoreError};

/// Why a flag was not cleared.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// No such flag is open.
    #[error("no such flag is open")]
    NotFound,
    /// Its customer cannot be worked on.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Clears an open flag. It comes back only by a newer fact, never by a duplicate; one of set-up
/// does not come back at all.
///
/// # Errors
/// When no such flag is open.
pub async fn clear(store: &Store, order: &Order, id: &FlagId) -> Result<(), FlagError> {
    let mut tx = store.begin_in(&order.app).await?;
    let found = tx.flag_find(&order.app, id).await?;
    let held = found.ok_or(FlagError::NotFound)?;
    let mut working_set = tx
        .working_set_load(&order.app, &reach_of(&held.holder))
        .await?;
    let changes = match &held.holder {
        FlagHolder::Customer(customer) => {
            working_set.clear_flag(customer, &held.flag, order.now)?
        }
        FlagHolder::Object(key) => {
            working_set.clear_object_flag(key, &held.flag);
            Vec::new()
        }
    };
    tx.working_set_save(&order.app, &working_set).await?;
    let entries = audit_entries(&order.app, &order.actor, &changes, order.now);
    if entries.is_empty() {
        // Only what the store derives of customers is a change; this one it looks up.
        let details = json!({"operation": "unflag", "flag": held.flag});
        let customer = held.holder.customer();
        order.audit(&mut tx, customer, "unflag", details).await?;
    } else {
        tx.audit_add(&entries).await?;
    }
    Ok(tx.commit().await?)
}

/// What clearing a flag of this holder can touch.
fn reach_of(holder: &FlagHolder) -> LookupKeys {
    match holder {
        FlagHolder::Customer(id) => LookupKeys {
            customers: BTreeSet::from([id.clone()]),
            ..LookupKeys::default()
        },
        FlagHolder::Object(key) => LookupKeys {
            disputes: BTreeSet::from([key.clone()]),
            refunds: BTreeSet::from([key.clone()]),
            unfetched: BTreeSet::from([key.clone()]),
            ..LookupKeys::default()
        },
    }
}
