//! Keeping accounts with their customers when the rules that link them change.
//!
//! Accounts that would follow another customer, or nobody, under the new rules are pinned to their
//! present one, all of them in the transaction that sets the rules: an event between would already
//! move some.

use super::order::Order;
use super::owed_licenses;
use super::timers::MOST;
use crate::domain::apply::change::Change;
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::ObjectKey;
use crate::domain::identity::seller_id::Identity;
use crate::domain::policy::Policy;
use crate::store::{StoreError, Tx};

/// Keeps the accounts that an address links, or would link, under another policy.
pub(super) async fn keep_addresses(
    tx: &mut Tx,
    order: &Order,
    policy: &Policy,
) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let accounts = tx.account_sharing(&order.app, &after, MOST.into()).await?;
        let Some(last) = accounts.last() else {
            return Ok(());
        };
        after = last.to_string();
        let adopt = |working_set: &mut WorkingSet| working_set.adopt_policy(policy.clone());
        keep(tx, order, accounts, adopt).await?;
    }
}

/// Keeps the accounts that the seller's own ids link, or would link.
pub(super) async fn keep_seller_ids(
    tx: &mut Tx,
    order: &Order,
    identity: &Identity,
) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let accounts = tx.account_with_seller_id(&order.app, &after, MOST.into());
        let accounts = accounts.await?;
        let Some(last) = accounts.last() else {
            return Ok(());
        };
        after = last.to_string();
        let adopt = |working_set: &mut WorkingSet| working_set.adopt_identity(identity.clone());
        keep(tx, order, accounts, adopt).await?;
    }
}

async fn keep(
    tx: &mut Tx,
    order: &Order,
    accounts: Vec<ObjectKey>,
    adopt: impl FnOnce(&mut WorkingSet) -> Vec<Change>,
) -> Result<(), StoreError> {
    let lookup_keys = LookupKeys {
        accounts: accounts.into_iter().collect(),
        ..LookupKeys::default()
    };
    let mut working_set = tx.working_set_load(&order.app, &lookup_keys).await?;
    let changes = adopt(&mut working_set);
    let made = owed_licenses::save(tx, &order.app, &working_set, order.now).await?;
    let mut entries = order.entries(&changes);
    entries.extend(owed_licenses::audit_entries(order, &made));
    tx.audit_add(&entries).await
}
