//! What is known to be of accounts whose customers were deleted for good.
//!
//! Disputes, refunds and whatever else a provider sends about a payment often name no account, and
//! of the payment itself nothing is left after an erasure. Its ids are kept here, in the form of
//! the index of events (`event_object.rs`). They count for as long as nobody claims the account.

use std::collections::{BTreeMap, BTreeSet};

use super::event_object::hash;
use super::record::{Rows, binds, keys, record};
use super::{StoreError, Tx};
use crate::domain::customer::erased::ErasureStage;
use crate::domain::id::{AppSlug, ObjectKey};

/// An object of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ErasedObject {
    /// The provider's id.
    pub(crate) id: String,
    /// The account.
    pub(crate) account: ObjectKey,
}

record! {
    struct ObjectRow<'a> {
        hash: i64,
        account: &'a ObjectKey,
    }
}

record! {
    struct OwnerRow from "erased_objects" {
        hash: i64,
        account: ObjectKey,
    }
}

fn rows_of<'a>(objects: impl IntoIterator<Item = &'a ErasedObject>) -> Rows<ObjectRow<'a>> {
    let rows = objects.into_iter().map(|object| ObjectRow {
        hash: hash(&object.id),
        account: &object.account,
    });
    rows.collect()
}

impl Tx {
    /// Adds objects of accounts that are being erased now. What named them is looked for by the
    /// erasure itself.
    pub(super) async fn erased_objects_add(
        &mut self,
        app: &AppSlug,
        objects: &BTreeSet<ErasedObject>,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO erased_objects (app, hash, account)
            SELECT $2, hash, account
            FROM {rows} AS new
            WHERE true
            ON CONFLICT DO NOTHING
        ";
        self.execute(sql, binds![rows_of(objects), app]).await?;
        Ok(())
    }

    /// Lists the objects of some accounts that are known, in the form of the index of events.
    pub(super) async fn erased_objects_of(
        &mut self,
        app: &AppSlug,
        accounts: impl IntoIterator<Item = &ObjectKey> + Send,
    ) -> Result<BTreeSet<i64>, StoreError> {
        let sql = r"
            SELECT hash
            FROM {rows} AS gone
            JOIN erased_objects AS it ON it.app = $2 AND it.account = gone.key
        ";
        self.fetch_values("erased_objects", sql, binds![keys(accounts), app])
            .await
    }

    /// Adds objects that an event named together with one that was known. Events that name one that
    /// is new are looked for from then on; whether there are any, this transaction need not see
    /// yet.
    pub(crate) async fn erased_objects_learn(
        &mut self,
        app: &AppSlug,
        objects: &BTreeSet<ErasedObject>,
    ) -> Result<(), StoreError> {
        let sql = r"
            INSERT INTO erased_objects (app, hash, account, stage)
            SELECT $2, hash, account, $3
            FROM {rows} AS new
            WHERE true
            ON CONFLICT DO NOTHING
        ";
        let binds = binds![rows_of(objects), app, ErasureStage::Events];
        self.execute(sql, binds).await?;
        Ok(())
    }

    /// Returns the accounts that some ids are known to be of, by id: accounts whose customers were
    /// deleted for good and which nobody has claimed since. Nothing about a person is kept of them.
    pub(crate) async fn erased_owners<'a>(
        &mut self,
        app: &AppSlug,
        ids: impl IntoIterator<Item = &'a str> + Send,
    ) -> Result<BTreeMap<&'a str, BTreeSet<ObjectKey>>, StoreError> {
        let by_hash: BTreeMap<i64, &str> = ids.into_iter().map(|id| (hash(id), id)).collect();
        // Most batches name nothing that was erased. To plan all of it as one join took half a millisecond of
        // each.
        let sql = r"
            SELECT it.hash, it.account
            FROM {rows} AS named
            JOIN erased_objects AS it ON it.app = $2 AND it.hash = named.key
        ";
        let named = keys(by_hash.keys().copied());
        let rows: Vec<OwnerRow> = self.fetch(sql, binds![named, app]).await?;
        let accounts: BTreeSet<&ObjectKey> = rows.iter().map(|row| &row.account).collect();
        let sql = r"
            SELECT accounts.key
            FROM {rows} AS wanted
            JOIN accounts ON accounts.app = $2 AND accounts.key = wanted.key
            WHERE accounts.kept ->> 'pin' IS NOT NULL
                AND NOT EXISTS (
                    SELECT 1 FROM customers WHERE customers.id = accounts.kept ->> 'pin'
                )
        ";
        let unclaimed: BTreeSet<ObjectKey> = self
            .fetch_values("accounts", sql, binds![keys(accounts), app])
            .await?;
        let mut owners: BTreeMap<&str, BTreeSet<ObjectKey>> = BTreeMap::new();
        for OwnerRow { hash, account } in rows {
            if let Some(id) = by_hash.get(&hash).filter(|_| unclaimed.contains(&account)) {
                owners.entry(id).or_default().insert(account);
            }
        }
        Ok(owners)
    }

    /// Finds an app with objects of which earlier events are to be looked for.
    pub(crate) async fn erased_objects_next(&mut self) -> Result<Option<AppSlug>, StoreError> {
        let sql = "SELECT app FROM erased_objects WHERE stage = $1 LIMIT 1";
        self.fetch_value("erased_objects", sql, binds![ErasureStage::Events])
            .await
    }

    /// Lists some of those objects, in the form of the index of events.
    pub(crate) async fn erased_objects_sought(
        &mut self,
        app: &AppSlug,
        most: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let sql = r"
            SELECT DISTINCT hash
            FROM erased_objects
            WHERE app = $1 AND stage = $2
            ORDER BY hash
            LIMIT $3
        ";
        let binds = binds![app, ErasureStage::Events, most];
        self.fetch_values("erased_objects", sql, binds).await
    }

    /// Notes that all events of some objects were looked at, and whether anything was removed.
    pub(crate) async fn erased_objects_found(
        &mut self,
        app: &AppSlug,
        hashes: &[i64],
        any_removed: bool,
    ) -> Result<(), StoreError> {
        let sql = r"
            UPDATE erased_objects
            SET stage = $3
            WHERE app = $2 AND stage = $4 AND hash IN (SELECT key FROM {rows} AS found)
        ";
        let found = keys(hashes.iter().copied());
        let to = any_removed.then_some(ErasureStage::Traces);
        let from = ErasureStage::Events;
        self.execute(sql, binds![found, app, to, from]).await?;
        Ok(())
    }

    /// Returns true if the engine may still have what was removed from events that were found.
    pub(crate) async fn erased_objects_leave_traces(&mut self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM erased_objects WHERE stage = $1 LIMIT 1";
        let binds = binds![ErasureStage::Traces];
        let found: Option<i64> = self.fetch_value("erased_objects", sql, binds).await?;
        Ok(found.is_some())
    }

    /// Notes that the engine has nothing of it any more.
    pub(crate) async fn erased_objects_finish(&mut self) -> Result<(), StoreError> {
        let sql = "UPDATE erased_objects SET stage = NULL WHERE stage = $1";
        self.execute(sql, binds![ErasureStage::Traces]).await?;
        Ok(())
    }
}
