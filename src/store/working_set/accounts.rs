//! Billing accounts.

use std::collections::BTreeSet;

use super::{LookUp, Wanted, by, union_all, wanted};
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::identity::account::AccountHistory;
use crate::store::lock::lock_keys_of_account;
use crate::store::record::{Rows, binds, record};
use crate::store::{StoreError, Tx};

record! {
    struct AccountRow from "accounts" {
        key: ObjectKey,
        customer_id: Option<CustomerId>,
        linking_email: Option<String>,
        kept: AccountHistory,
    }
}

/// The columns of an [`AccountRow`].
const SELECTED: &str = "it.key, it.customer_id, it.linking_email, it.kept";

/// Accounts by all that leads to them. An address may be the first one or the current one.
const WAYS: [LookUp; 6] = [
    by("key", "accounts", "key"),
    by("id", "accounts", "id"),
    by("email", "accounts", "linking_email"),
    by("email", "accounts", "changed_email"),
    by("seller_id", "accounts", "seller_id"),
    by("customer_id", "accounts", "customer_id"),
];

impl Tx {
    /// Loads accounts; see [`WAYS`].
    pub(super) async fn working_set_accounts(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
        wanted: impl Iterator<Item = Wanted> + Send,
    ) -> Result<(), StoreError> {
        let wanted: Rows<Wanted> = wanted.collect();
        let sql = union_all(SELECTED, &WAYS, &wanted);
        let rows: Vec<AccountRow> = self.fetch(&sql, binds![wanted, app]).await?;
        for row in rows {
            let email = row.kept.address().map(|(email, _)| email);
            let account = Account {
                key: row.key.clone(),
                history: row.kept,
                linking_email: row.linking_email,
                email,
                customer: row.customer_id,
            };
            working_set.accounts.insert(row.key, account);
        }
        Ok(())
    }

    /// Loads the accounts of the rows that were loaded, and those that the rows were made for,
    /// which are returned.
    pub(super) async fn working_set_accounts_of_rows(
        &mut self,
        app: &AppSlug,
        working_set: &mut WorkingSet,
    ) -> Result<BTreeSet<ObjectKey>, StoreError> {
        let rows: Vec<CustomerId> = working_set.customers.keys().cloned().collect();
        let homes = working_set.customers.values();
        let homes = homes.flat_map(|row| [row.home.clone(), row.bound_to.clone()]);
        let homes: BTreeSet<ObjectKey> = homes.flatten().collect();
        self.lock_found(app, homes.iter().flat_map(lock_keys_of_account))
            .await?;
        let missing = homes
            .iter()
            .filter(|key| !working_set.accounts.contains_key(key));
        let wanted: Vec<Wanted> = wanted("customer_id", &rows)
            .chain(wanted("key", missing))
            .collect();
        self.working_set_accounts(app, working_set, wanted.into_iter())
            .await?;
        Ok(homes)
    }
}
