//! Permanent deletion of a customer: its rows. The rest of the store is searched afterwards, see
//! `store/erasure.rs`.

use std::collections::BTreeSet;

use super::customer::CustomerRow;
use super::erasure::ErasedObjects;
use super::event_object::hash;
use super::record::{Rows, binds, keys, record};
use super::shared_time::SharedTime;
use super::{ErasedObject, EventFilter, StoreError, Tx};
use crate::domain::customer::row::Customer;
use crate::domain::id::{AppSlug, CustomerId, ObjectKey, ReplayId};
use crate::domain::identity::account::AccountHistory;
use crate::domain::time::Timestamp;

record! {
    struct AccountRow from "accounts" {
        key: ObjectKey,
        seller_id: Option<String>,
        kept: AccountHistory,
    }
}

record! {
    struct ReplayRow from "replays" {
        id: ReplayId,
        filter: EventFilter,
    }
}

record! {
    struct Refiltered<'a> {
        id: &'a ReplayId,
        filter: &'a EventFilter,
    }
}

record! {
    struct Stub<'a> {
        key: &'a ObjectKey,
        kept: &'a AccountHistory,
    }
}

impl Tx {
    /// Removes a customer's row, the rows merged into it, and everything that belongs to them:
    /// grants, tokens, licences, subscriptions, payments, disputes, refunds. Of its billing
    /// accounts nothing stays but that they belong to a customer who was deleted, and what ids are
    /// of them, so that later webhooks of theirs make nobody new. Orders the erasure of what else
    /// is kept of it.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub(crate) async fn customer_purge(
        &mut self,
        app: &AppSlug,
        id: &CustomerId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "SELECT key, seller_id, kept FROM accounts WHERE app = $1 AND customer_id = $2";
        let mut accounts: Vec<AccountRow> = self.fetch(sql, binds![app, id]).await?;
        let sql = r"
            SELECT kept FROM customers
            WHERE app = $1 AND COALESCE(merged_into, id) = $2
        ";
        let people: Vec<CustomerRow> = self.fetch(sql, binds![app, id]).await?;
        let people: Vec<Customer> = people.into_iter().map(Customer::from).collect();
        let merged = people.iter().map(|row| &row.id).filter(|row| *row != id);
        let rows: Vec<CustomerId> = [id].into_iter().chain(merged).cloned().collect();
        let own = rows.iter().cloned().collect();
        let keys_of_own = accounts.iter().map(|it| it.key.clone()).collect();
        let shared = self.shared_times(app, &own, &keys_of_own).await?;
        let showed = shared.iter().map(|it| it.customer.clone());
        let showed: Vec<CustomerId> = rows.iter().cloned().chain(showed).collect();
        let accounts_of_own = accounts.iter().map(|it| &it.key);
        self.purge_accounts(app, &rows, accounts_of_own, shared, now)
            .await?;
        let external_ids = people
            .iter()
            .flat_map(|row| [&row.profile.external_id, &row.derived.external_id])
            .chain(accounts.iter().map(|it| &it.seller_id));
        let external_ids: BTreeSet<&str> = external_ids.filter_map(Option::as_deref).collect();
        self.purge_replays(app, &rows, &external_ids, now).await?;
        self.idempotency_forget(&showed).await?;
        self.change_forget(app, &rows).await?;
        for sql in [
            "DELETE FROM subscriptions WHERE app = $2 AND account IN (SELECT key FROM {rows} AS it)",
            "DELETE FROM payments WHERE app = $2 AND account IN (SELECT key FROM {rows} AS it)",
            "DELETE FROM disputes WHERE app = $2 AND account IN (SELECT key FROM {rows} AS it)",
            "DELETE FROM refunds WHERE app = $2 AND account IN (SELECT key FROM {rows} AS it)",
        ] {
            let keys = keys(accounts.iter().map(|it| &it.key));
            self.execute(sql, binds![keys, app]).await?;
        }
        for account in &mut accounts {
            account.kept = AccountHistory::new(account.kept.first_at);
            account.kept.pin = Some(id.clone());
        }
        let stubs = accounts
            .iter()
            .map(|AccountRow { key, kept, .. }| Stub { key, kept });
        let stubs: Rows<Stub<'_>> = stubs.collect();
        let sql = r"
            UPDATE accounts
            SET linking_email = NULL, changed_email = NULL, seller_id = NULL, kept = stub.kept
            FROM {rows} AS stub
            WHERE accounts.app = $2 AND accounts.key = stub.key
        ";
        self.execute(sql, binds![stubs, app]).await?;
        let sql = "DELETE FROM flags WHERE app = $1 AND holder = $2";
        self.execute(sql, binds![app, id]).await?;
        let sql = "DELETE FROM customers WHERE app = $1 AND COALESCE(merged_into, id) = $2";
        self.execute(sql, binds![app, id]).await?;
        Ok(())
    }

    /// Orders the erasure, and keeps by which ids later events are known to be of these accounts.
    async fn purge_accounts(
        &mut self,
        app: &AppSlug,
        rows: &[CustomerId],
        accounts: impl Iterator<Item = &ObjectKey> + Clone + Send,
        shared: Vec<SharedTime>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let owned = self.erasure_objects(app, accounts.clone()).await?;
        // An account that was claimed after an erasure has objects from before.
        let mut hashes = self.erased_objects_of(app, accounts.clone()).await?;
        hashes.extend(owned.iter().map(|it| hash(&it.key.id)));
        let objects = ErasedObjects {
            accounts: accounts.map(|key| key.id.clone()).collect(),
            hashes: hashes.into_iter().collect(),
            shared,
        };
        self.erasure_add(app, rows, &objects, now).await?;
        self.erasure_link(app, &owned).await?;
        let objects = owned.into_iter().map(|it| ErasedObject {
            id: it.key.id,
            account: it.account,
        });
        self.erased_objects_add(app, &objects.collect()).await
    }

    /// Takes the external ids of a customer from the replays of its events: they say by its own id
    /// whose events they were about. One that is open ends.
    async fn purge_replays(
        &mut self,
        app: &AppSlug,
        rows: &[CustomerId],
        external_ids: &BTreeSet<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = r"
            SELECT id, filter FROM replays
            WHERE app = $1 AND filter ->> 'external' IS NOT NULL
        ";
        let mut replays: Vec<ReplayRow> = self.fetch(sql, binds![app]).await?;
        replays.retain_mut(|ReplayRow { filter, .. }| {
            let of_them = filter.external.take_if(|external| {
                let known = external.customer.as_ref();
                known.is_some_and(|known| rows.contains(known))
                    || external_ids.contains(external.id.trim())
            });
            if of_them.is_some() && filter.customer.is_none() {
                filter.customer = rows.first().cloned();
            }
            of_them.is_some()
        });
        let replays = replays
            .iter()
            .map(|ReplayRow { id, filter }| Refiltered { id, filter });
        let replays: Rows<Refiltered<'_>> = replays.collect();
        let sql = r"
            UPDATE replays
            SET
                filter = new.filter,
                canceled_at = CASE WHEN finished_at IS NULL THEN $3 ELSE canceled_at END,
                finished_at = COALESCE(finished_at, $3)
            FROM {rows} AS new
            WHERE replays.app = $2 AND replays.id = new.id
        ";
        self.execute(sql, binds![replays, app, now]).await?;
        Ok(())
    }
}
